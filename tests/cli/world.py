"""The real program with a state root of its own, for tests of named machines."""

import argparse
import contextlib
import json
import os
import pty
import select
import shutil
import subprocess
import tempfile
import termios
import time
from pathlib import Path
from typing import Callable, Optional

SKIPPED = 77
DEADLINE = 30
OK, USAGE, REFUSED, NOT_FOUND, WRONG_STATE, BUSY, TIMED_OUT, DAMAGED = 0, 2, 3, 5, 6, 7, 8, 9
PANICKED, TRIPLE_FAULT, INTERRUPTED = 20, 21, 130
LOCAL_FLAGS = 3  # place in what tcgetattr returns


class Wrong(Exception):
    """What was seen is not what should be."""


def demand(condition: bool, text: str) -> None:
    if not condition:
        raise Wrong(text)


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        demand(time.monotonic() < until, f"{what}: not within {DEADLINE} s")
        time.sleep(0.02)


class Attached:
    """A verb on a terminal of its own."""

    def __init__(self, command: list[str], env: dict[str, str]):
        self.master, self.terminal = pty.openpty()
        self.before = termios.tcgetattr(self.terminal)
        self.seen = ""
        self.process = subprocess.Popen(["setsid", "--ctty", *command], stdin=self.terminal,
                                        stdout=self.terminal, stderr=subprocess.PIPE, text=True, env=env)

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + DEADLINE
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
            demand(bool(ready), f'"{text}" did not come, only "{self.seen}"')
            self.seen += os.read(self.master, 65536).decode("latin-1")

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.terminal)[LOCAL_FLAGS] & (termios.ICANON | termios.ISIG)

    def demand_end(self, status: int, sentence: str) -> None:
        try:
            _, talk = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            raise Wrong("still attached") from None
        demand(self.process.returncode == status,
               f"exit code {self.process.returncode}, wanted {status}; said: {talk}")
        demand(sentence in talk, f'"{sentence}" was not said, but "{talk}"')
        demand(termios.tcgetattr(self.terminal) == self.before, "the terminal is not as before")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self.master)
        os.close(self.terminal)


class World:
    """The program with a state root of its own."""

    def __init__(self, stasis: str, guests: str):
        self.stasis, self.guests = stasis, guests
        self.root = tempfile.mkdtemp(prefix="stasis-m-")
        self.env = {**os.environ, "STASIS_ROOT": self.root, "STASIS_LOG": "warn"}
        self.terminals: list[Attached] = []

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

    def attach(self, *words: str) -> Attached:
        self.terminals.append(Attached([self.stasis, *words], self.env))
        return self.terminals[-1]

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen([self.stasis, *words], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def folder(self, name: str) -> Path:
        return Path(self.root) / "vms" / name

    def close(self) -> None:
        for terminal in self.terminals:
            terminal.close()
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
    parser.add_argument("name", nargs="*", choices=[*tests, []])
    arguments = parser.parse_args()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no /dev/kvm that can be used here")
        return SKIPPED
    failures = 0
    for name in arguments.name or tests:
        world = World(os.path.abspath(arguments.stasis), os.path.abspath(arguments.guests))
        try:
            tests[name](world)
            print(f"ok  {name}", flush=True)
        except (Wrong, subprocess.TimeoutExpired) as wrong:
            failures += 1
            print(f"FAIL  {name}: {wrong}", flush=True)
        finally:
            world.close()
    return 1 if failures else 0
