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


def run_labs(runner: str, cases: list[str], jobs: int, options: Callable[[list[str]], list[str]],
             seconds: Callable[[list[str]], int]) -> int:
    """Starts `runner --here` in up to `jobs` labs, each with its share of the cases, as a lab has one CPU.

    `options` and `seconds` tell what a share needs: words after --here, and a deadline beside the lab's start.
    On an emulated CPU, which now and then stops a guest for good (docs/testing.md), the cases that failed
    are tried once more, each in a lab of its own. Returns the worst exit status.
    """
    def labs(shares: list[list[str]]) -> tuple[int, set[str]]:
        started = [_Lab(runner, share, options(share), seconds(share)) for share in shares]
        return max(lab.wait() for lab in started), {name for lab in started for name in lab.failed}

    jobs = min(jobs, len(cases))
    status, failed = labs([cases[number::jobs] for number in range(jobs)])
    if not failed or not _is_emulated():
        return status
    again = [name for name in cases if name in failed]
    print(f"once more, as this CPU is emulated: {', '.join(again)}", flush=True)
    return max(labs([[name] for name in again[start:start + jobs]])[0] for start in range(0, len(again), jobs))


def _is_emulated() -> bool:
    return subprocess.run([LAB, "--emulated"], check=False).returncode == 0


class _Lab:
    """A lab that is at work; passes on what its runner prints, and notes the cases that failed."""

    def __init__(self, runner: str, share: list[str], options: list[str], seconds: int):
        self.failed: set[str] = set()
        self.process = subprocess.Popen(
            [LAB, "--deadline", str(60 + seconds), "--", Path(runner).resolve(), "--here", *options],
            stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._pass_on, args=(self.process.stdout, set(share)))
        self.reader.start()

    def _pass_on(self, output: TextIO, left: set[str]) -> None:
        for line in output:
            print(line, end="", flush=True)
            words = line.split()
            if len(words) > 1 and words[0] in ("ok", "FAIL") and words[1] in left:
                left.discard(words[1])
                if words[0] == "FAIL":
                    self.failed.add(words[1])
        self.failed |= left  # the lab ended before them

    def wait(self) -> int:
        self.reader.join()
        return self.process.wait()
