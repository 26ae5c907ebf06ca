"""The real program with a state root of its own, for tests of named machines."""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable, Optional

from front import Front, Wrong, demand

SKIPPED = 77
DEADLINE = 30
OK, USAGE, REFUSED, NOT_FOUND, WRONG_STATE, BUSY, TIMED_OUT, DAMAGED = 0, 2, 3, 5, 6, 7, 8, 9
PANICKED, TRIPLE_FAULT, INTERRUPTED = 20, 21, 130


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        demand(time.monotonic() < until, f"{what}: not within {DEADLINE} s")
        time.sleep(0.02)


class World:
    """The program with a state root of its own."""

    def __init__(self, stasis: str, guests: str, preload: str):
        self.stasis, self.guests = stasis, guests
        self.root = tempfile.mkdtemp(prefix="stasis-m-")
        self.env = {**os.environ, "STASIS_ROOT": self.root, "STASIS_LOG": "warn"}
        if preload:
            self.env["LD_PRELOAD"] = preload
        self.fronts: list[Front] = []

    def call(self, *words: str, status: int = OK, stdin: Optional[bytes] = None) -> tuple[str, str]:
        run = subprocess.run([self.stasis, *words], capture_output=True, env=self.env, input=stdin or b"",
                             timeout=DEADLINE, check=False)
        out, talk = run.stdout.decode("latin-1"), run.stderr.decode("latin-1")
        demand(run.returncode == status,
               f"{' '.join(words)}: exit code {run.returncode}, wanted {status}: {talk}")
        return out, talk

    def run(self, name: str, guest: str, *options: str, status: int = OK) -> tuple[str, str]:
        return self.call("run", "--name", name, "--detach", "--kernel", self.kernel(guest), *options,
                         status=status)

    def kernel(self, guest: str) -> str:
        return f"{self.guests}/{guest}.elf"

    def json(self, *words: str) -> dict:
        record = json.loads(self.call(*words, "--json")[0])
        demand(record["schema"] == 1, f"{words}: schema is {record.get('schema')}")
        return record

    def machine(self, name: str) -> dict:
        return self.json("info", name)["machine"]

    def state(self, name: str) -> str:
        return self.machine(name)["state"]

    def wait_for_log(self, name: str, text: str, count: int = 1) -> None:
        wait_for(f'"{text}" in the log of {name}', lambda: self.call("logs", name)[0].count(text) >= count)

    def attach(self, *words: str, on_terminal: bool = True) -> Front:
        self.fronts.append(Front([self.stasis, *words], self.env, on_terminal))
        return self.fronts[-1]

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen([self.stasis, *words], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def folder(self, name: str) -> Path:
        return Path(self.root) / "vms" / name

    def close(self) -> None:
        for front in self.fronts:
            front.close()
        for folder in Path(self.root).glob("vms/*"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run([self.stasis, "rm", "--force", folder.name], env=self.env,
                               timeout=DEADLINE, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def run_tests(description: str, tests: dict[str, Callable[[World], None]]) -> int:
    """Runs those that are named on the command line, or all, each in a world of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--stasis", required=True)
    parser.add_argument("--guests", required=True)
    parser.add_argument("--preload", default="", help="a library that the program is run with")
    parser.add_argument("name", nargs="*", choices=[*tests, []])
    arguments = parser.parse_args()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no /dev/kvm that can be used here")
        return SKIPPED
    failures = 0
    for name in arguments.name or tests:
        world = World(os.path.abspath(arguments.stasis), os.path.abspath(arguments.guests), arguments.preload)
        try:
            tests[name](world)
            print(f"ok  {name}", flush=True)
        except Exception as wrong:  # whatever it is, the others are run, too
            failures += 1
            print(f"FAIL  {name}: {type(wrong).__name__}: {wrong}", flush=True)
            if not isinstance(wrong, Wrong):
                traceback.print_exc()
        finally:
            world.close()
    return 1 if failures else 0
