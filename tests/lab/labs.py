"""Labs side by side, for the runners of this folder."""

import subprocess
import threading
from pathlib import Path
from typing import Callable, TextIO

REPO = Path(__file__).resolve().parent.parent.parent
LAB = REPO / "scripts/lab"


def result_line(name: str, seconds: float, problem: str) -> str:
    """What a runner prints of a case; `run_labs` reads it."""
    return f"{'FAIL' if problem else 'ok':5} {name:32} {seconds:6.1f} s  {problem}".rstrip()


def run_in_turn(cases: list, run_case: Callable[[object], bool], until_failure: bool) -> int:
    """What a runner does with its share, in the lab; the exit status."""
    results = []
    for case in cases:
        results.append(run_case(case))
        if not results[-1] and until_failure:
            break
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


def run_labs(runner: str, cases: list[str], jobs: int, options: Callable[[list[str]], list[str]],
             seconds: Callable[[list[str]], int]) -> int:
    """Starts `runner --here` in up to `jobs` labs, each with its share of the cases, as a lab has one CPU.

    `options` and `seconds` tell what a share needs: words after --here, and a deadline beside the lab's start.
    What is wrong with an emulated CPU, such as its clock, may be wrong for each case in that lab (docs/testing.md). So
    there a lab ends with the first case that fails. That one is tried once more in a lab of its own, what it left is
    run in new ones, and what fails then has failed. Returns the worst exit status.
    """
    def labs(shares: list[list[str]], *more: str) -> tuple[int, list["_Lab"]]:
        started = [_Lab(runner, share, [*options(share), *more], seconds(share)) for share in shares]
        return max(lab.wait() for lab in started), started

    def spread(names: list[str]) -> list[list[str]]:
        return [share for share in (names[number::jobs] for number in range(jobs)) if share]

    is_emulated = _is_emulated()
    status, done = labs(spread(cases), *["--until-failure"][:is_emulated])
    failed = [name for name in cases for lab in done if name in lab.failed]
    left = [name for name in cases for lab in done if name in lab.left]
    if not is_emulated or not failed + left:
        return status
    print(f"once more, as this CPU is emulated: {', '.join(failed)}; then {len(left)} that were not run", flush=True)
    shares = [[name] for name in failed] + spread(left)
    return max(labs(shares[start:start + jobs])[0] for start in range(0, len(shares), jobs))


def _is_emulated() -> bool:
    return subprocess.run([LAB, "--emulated"], check=False).returncode == 0


class _Lab:
    """A lab that is at work; passes on what its runner prints, and notes the cases that failed."""

    def __init__(self, runner: str, share: list[str], options: list[str], seconds: int):
        self.failed: set[str] = set()
        self.left = set(share)  # not run yet
        self.process = subprocess.Popen(
            [LAB, "--deadline", str(60 + seconds), "--", Path(runner).resolve(), "--here", *options],
            stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._pass_on, args=(self.process.stdout,))
        self.reader.start()

    def _pass_on(self, output: TextIO) -> None:
        for line in output:
            print(line, end="", flush=True)
            words = line.split()
            if len(words) > 1 and words[0] in ("ok", "FAIL") and words[1] in self.left:
                self.left.discard(words[1])
                if words[0] == "FAIL":
                    self.failed.add(words[1])

    def wait(self) -> int:
        self.reader.join()
        return self.process.wait()
