#!/usr/bin/env python3
"""Named machines from outside: from `run --name` to `rm`, with tiny guests.

    machines.py --stasis build/cli/stasis --guests build/tests/guests [NAME]...

Each test has a state root of its own. Exit status: 0 passed, 1 failed, 77 skipped (no KVM that can
be used).
"""

import argparse
import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Callable, Optional

SKIPPED = 77
DEADLINE = 20
OK, USAGE, REFUSED, NOT_FOUND, WRONG_STATE, BUSY, TIMED_OUT, DAMAGED = 0, 2, 3, 5, 6, 7, 8, 9
PANICKED, TRIPLE_FAULT = 20, 21
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


def life(world: World) -> None:
    out, talk = world.run("one", "spin", "--cpus", "2", "--memory", "64M")
    demand((out, talk) == ("one\n", ""), f"run said {out!r} and {talk!r}")
    world.wait_for_log("one", "spinning")
    machine = world.machine("one")
    demand(machine["state"] == "running" and machine["cpus"] == 2, str(machine))
    demand(machine["memory_bytes"] == 64 << 20, str(machine))
    demand(machine["last_run"]["pid"] == machine["pid"], str(machine["last_run"]))
    demand("one " in world.call("ps")[0], "ps does not list it")
    world.call("kill", "one")
    machine = world.machine("one")
    demand(machine["state"] == "off", str(machine))
    demand(machine["last_run"]["end"] == "stopped", str(machine["last_run"]))
    demand("one " not in world.call("ps")[0], "ps lists one that is off")
    demand("one " in world.call("ps", "-a")[0], "ps -a does not list it")
    world.call("start", "one")
    world.wait_for_log("one", "spinning", 2)
    world.call("rm", "one", status=WRONG_STATE)
    world.call("rm", "one", "--force")
    demand(os.listdir(world.folder("one").parent) == [], "rm left something")


def names_are_unique(world: World) -> None:
    world.run("one", "spin")
    _, talk = world.run("one", "spin", status=WRONG_STATE)
    demand("stasis start one" in talk, f"no remedy: {talk}")
    demand(world.state("one") == "running", "the first does not run")


def refusals_leave_nothing(world: World) -> None:
    for more in (["--detach"], []):
        _, talk = world.call("run", "--name", "one", "--kernel", "/no/such", *more, status=REFUSED)
        demand("/no/such" in talk and talk.count("\n") == 1, talk)
        demand(os.listdir(world.folder("one").parent) == [], "a machine that never ran is there")
    world.call("run", "--name", "_one", "--kernel", world.kernel("spin"), status=USAGE)


def endings(world: World) -> None:
    for guest, status, end in (("hello", OK, "power-off"), ("panic", PANICKED, "panic"),
                               ("triple_fault", TRIPLE_FAULT, "triple-fault")):
        out, _ = world.call("run", "--name", guest, "--kernel", world.kernel(guest), status=status)
        demand(out == world.call("logs", guest)[0] and out != "", f"{guest}: log and output differ")
        machine = world.machine(guest)
        demand(machine["state"] == "off" and machine["pid"] is None, str(machine))
        demand(machine["last_run"]["end"] == end, str(machine["last_run"]))
        out, talk = world.call("start", guest, "--attach", status=status)
        demand(machine["last_run"]["detail"] in talk, f"{guest}: {talk}")
        demand(out != "", f"{guest}: nothing shown")


def by_signal(world: World) -> None:
    world.run("one", "spin")
    os.kill(world.machine("one")["pid"], signal.SIGTERM)
    wait_for("end", lambda: world.state("one") == "off")
    run = world.machine("one")["last_run"]
    demand((run["end"], run["detail"]) == ("signal", "ended by SIGTERM"), str(run))


def crashes(world: World) -> None:
    world.run("one", "spin")
    for number, reason in ((signal.SIGKILL, "SIGKILL?"), (signal.SIGSEGV, "SIGSEGV"),
                           (signal.SIGABRT, "SIGABRT")):
        os.kill(world.machine("one")["pid"], number)
        wait_for("crash", lambda: world.state("one") == "crashed")
        run = world.machine("one")["last_run"]
        demand(run["end"] == "crashed" and reason in run["detail"], str(run))
        demand(reason in world.call("ps", "-a")[0], "ps does not say why")
        _, talk = world.call("start", "one")
        demand("crashed" in talk and reason in talk, f"start said {talk!r}")
        demand(world.state("one") == "running", "it does not start again")


def pausing(world: World) -> None:
    world.run("one", "spin")
    demand(world.json("pause", "one")["state"] == "paused", "state of pause")
    demand(world.state("one") == "paused", "not paused")
    world.call("pause", "one")
    demand(world.json("resume", "one")["state"] == "running", "state of resume")
    demand(world.state("one") == "running", "not resumed")
    world.call("pause", "one")
    world.call("start", "one")
    demand(world.state("one") == "running", "start does not resume")
    world.call("start", "one", status=WRONG_STATE)
    world.call("kill", "one")
    for verb in ("pause", "resume", "kill", "stop", "console"):
        _, talk = world.call(verb, "one", status=WRONG_STATE)
        demand("is off" in talk and "stasis start one" in talk, f"{verb}: {talk}")


def stopping(world: World) -> None:
    world.run("one", "spin")
    _, talk = world.call("stop", "one", "--timeout", "0", status=TIMED_OUT)
    demand("stasis kill one" in talk, f"no remedy: {talk}")
    demand(world.state("one") == "running", "it was ended")
    world.call("stop", "one", "--timeout", "1s", "--force")
    demand(world.state("one") == "off", "--force did not end it")


def idle_process_ends(world: World) -> None:
    world.run("one", "hello")
    pid = world.machine("one")["pid"]
    demand(pid is not None, "it did not wait")
    wait_for("end of the idle process", lambda: not Path(f"/proc/{pid}").exists())
    demand(world.machine("one")["last_run"]["end"] == "power-off", "its end is not known")


def same_process_starts_again(world: World) -> None:
    world.run("one", "spin")
    pid = world.machine("one")["pid"]
    world.call("kill", "one")
    world.call("start", "one")
    machine = world.machine("one")
    demand(machine["state"] == "running" and machine["pid"] == pid, str(machine))
    demand(machine["last_run"]["end"] is None, str(machine["last_run"]))


def reboots(world: World) -> None:
    world.run("one", "reset")
    pid = world.machine("one")["pid"]
    world.wait_for_log("one", "about to reset", 3)
    demand(world.machine("one")["pid"] == pid, "another process")
    world.call("kill", "one")
    world.run("two", "reset", "--on-reboot", "exit")
    wait_for("end", lambda: world.state("two") == "off")
    demand(world.machine("two")["last_run"]["end"] == "reboot", "how it ended")


def console(world: World) -> None:
    world.run("one", "serial_echo")
    world.wait_for_log("one", "echo: ready")
    first, second = world.attach("console", "one"), world.attach("console", "one")
    for viewer in (first, second):
        viewer.wait_for("echo: ready")  # what was printed before
        demand(viewer.is_raw(), "the terminal is not in raw mode")
    first.type(b"abc\x03")
    for viewer in (first, second):
        viewer.wait_for("abc\x03")
    first.type(b"\x1dx")
    first.demand_end(OK, "detached")
    demand(world.state("one") == "running", "detaching ended it")
    second.type(b"def.")
    second.wait_for("def.")
    second.wait_for("echo: done")
    second.demand_end(OK, "one: is off")


def piped_console(world: World) -> None:
    world.run("one", "serial_echo")
    world.wait_for_log("one", "echo: ready")
    text = b"x" * 20000 + b"."
    out, _ = world.call("console", "one", stdin=text)
    demand(text.decode() in out and "echo: done" in out, f"{len(out)} bytes came back")


def console_in_front(world: World) -> None:
    """A machine in front of a terminal can be seen from others, too."""
    front = world.attach("run", "--name", "one", "--kernel", world.kernel("serial_echo"))
    front.wait_for("echo: ready")
    viewer = world.attach("console", "one")
    viewer.wait_for("echo: ready")
    front.type(b"abc")
    viewer.wait_for("abc")
    viewer.type(b"def")
    front.wait_for("abcdef")
    front.type(b"\x1dx")
    front.demand_end(130, "one: ended by Ctrl-] x")
    viewer.demand_end(OK, "one: is off")


def following_logs(world: World) -> None:
    world.run("one", "serial_echo")
    logs = world.start("logs", "-f", "one")
    world.wait_for_log("one", "echo: ready")
    world.call("console", "one", stdin=b"abc.")
    out, _ = logs.communicate(timeout=DEADLINE)
    demand("abc." in out and "echo: done" in out and logs.returncode == OK, out)


def two_starts(world: World) -> None:
    world.call("run", "--name", "one", "--kernel", world.kernel("hello"))
    shutil.copy(world.kernel("spin"), f"{world.root}/kernel")
    config = world.folder("one") / "config.json"
    config.write_text(config.read_text().replace(world.kernel("hello"), f"{world.root}/kernel"))
    starts = [world.start("start", "one") for _ in range(4)]
    statuses = []
    for start in starts:
        start.communicate(timeout=DEADLINE)
        statuses.append(start.returncode)
    demand(sorted(statuses) == [OK] + [WRONG_STATE] * 3, f"exit codes {statuses}")
    demand(world.call("logs", "one")[0].count("spinning") <= 1, "it ran twice")


def damaged_files(world: World) -> None:
    world.call("run", "--name", "one", "--kernel", world.kernel("hello"))
    world.call("run", "--name", "two", "--kernel", world.kernel("hello"))
    config = world.folder("one") / "config.json"
    good = config.read_text()
    config.write_text(good.replace('"schema": 1', '"schema": 7'))
    _, talk = world.call("start", "one", status=REFUSED)
    demand("schema 7" in talk, talk)
    out, talk = world.call("ps", "-a")
    demand("two " in out and "schema 7" in talk, f"ps: {out} {talk}")
    config.write_text(good[:100])
    _, talk = world.call("start", "one", status=DAMAGED)
    demand("config.json" in talk, talk)
    config.write_text(good)
    (world.folder("one") / "status.json").write_text("{}")
    world.call("info", "one", status=DAMAGED)
    world.call("rm", "one")


def silent_process(world: World) -> None:
    """One that is stopped cannot answer; it can be killed."""
    world.run("one", "spin")
    pid = world.machine("one")["pid"]
    os.kill(pid, signal.SIGSTOP)
    demand(world.state("one") == "silent", "it is not said to be silent")
    world.call("kill", "one")
    demand(world.state("one") == "crashed", "it is not said to be killed")


def records(world: World) -> None:
    """--json of the verbs that no other test asks for it."""
    machine = world.json("run", "--name", "one", "--detach", "--kernel", world.kernel("spin"))["machine"]
    demand(machine["name"] == "one" and machine["state"] == "running", str(machine))
    wait_for("the log", lambda: "spinning" in world.json("logs", "one")["log"])
    demand([one["name"] for one in world.json("ps")["machines"]] == ["one"], "ps")
    demand(world.json("snapshot", "list", "one")["snapshots"] == [], "snapshot list")
    demand(world.json("stop", "one", "--force", "--timeout", "0")["state"] == "off", "stop")
    demand(world.json("start", "one")["machine"]["state"] == "running", "start")
    demand(world.json("kill", "one")["state"] == "off", "kill")
    demand(world.json("rm", "one")["state"] == "removed", "rm")


TESTS = {
    "life": life,
    "names": names_are_unique,
    "refusals": refusals_leave_nothing,
    "endings": endings,
    "signal": by_signal,
    "crashes": crashes,
    "pausing": pausing,
    "stopping": stopping,
    "idle": idle_process_ends,
    "again": same_process_starts_again,
    "reboots": reboots,
    "console": console,
    "console-pipe": piped_console,
    "console-front": console_in_front,
    "logs": following_logs,
    "two-starts": two_starts,
    "damaged": damaged_files,
    "silent": silent_process,
    "json": records,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stasis", required=True)
    parser.add_argument("--guests", required=True)
    parser.add_argument("name", nargs="*", choices=[*TESTS, []])
    arguments = parser.parse_args()
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no /dev/kvm that can be used here")
        return SKIPPED
    failures = 0
    for name in arguments.name or TESTS:
        world = World(os.path.abspath(arguments.stasis), os.path.abspath(arguments.guests))
        try:
            TESTS[name](world)
            print(f"ok  {name}", flush=True)
        except (Wrong, subprocess.TimeoutExpired) as wrong:
            failures += 1
            print(f"FAIL  {name}: {wrong}", flush=True)
        finally:
            world.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
