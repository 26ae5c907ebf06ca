#!/usr/bin/env python3
"""Ends running guests from outside: by signals and, on a terminal, by the escape key.

    endings.py --stasis build/cli/stasis --guests build/tests/guests [NAME]

Checks the exit code, the one sentence on standard error, and that a terminal is in raw mode while
the guest runs and as before afterwards, whatever the end was.
Exit status: 0 passed, 1 failed, 77 skipped (no KVM that can be used).
"""

import argparse
import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

SKIPPED = 77
DEADLINE = 20
REBOOTED, HUNG_UP, INTERRUPTED, TERMINATED = 24, 129, 130, 143
LOCAL_FLAGS = 3  # place in what tcgetattr returns


class Wrong(Exception):
    """What was seen is not what should be."""


def demand(condition: bool, text: str) -> None:
    if not condition:
        raise Wrong(text)


class Run:
    """`stasis run` of a tiny guest. With `on_terminal`, standard input and output are one."""

    def __init__(self, stasis: str, kernel: str, *options: str, on_terminal: bool = False):
        self.seen = ""
        command = [stasis, "run", "--kernel", kernel, *options]
        if on_terminal:
            self.master, self.terminal = pty.openpty()
            self.before = termios.tcgetattr(self.terminal)
            ends = {"stdin": self.terminal, "stdout": self.terminal}
            # a session of its own, whose terminal this is
            command = ["setsid", "--ctty", *command]
        else:
            self.master, write_end = os.pipe()
            ends = {"stdin": subprocess.DEVNULL, "stdout": write_end}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **ends)
        if not on_terminal:
            os.close(write_end)

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + DEADLINE
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
            chunk = os.read(self.master, 65536) if ready else b""
            demand(bool(chunk), f'"{text}" did not come, only "{self.seen}"')
            self.seen += chunk.decode("latin-1")

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.terminal)[LOCAL_FLAGS] & (termios.ICANON | termios.ISIG)

    def demand_end(self, status: int, sentence: str) -> None:
        try:
            _, talk = self.process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            raise Wrong("still running") from None
        demand(self.process.returncode == status,
               f"exit code {self.process.returncode}, wanted {status}; said: {talk}")
        demand(sentence in talk.splitlines()[-1:] or not sentence, f'said "{talk}"')

    def demand_restored(self) -> None:
        after = termios.tcgetattr(self.terminal)
        demand(after == self.before, "the terminal is not as before")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self.master)
        with contextlib.suppress(AttributeError):
            os.close(self.terminal)


def by_signal(number: int, status: int, name: str):
    def test(start):
        run = start("spin")
        run.wait_for("spinning")
        run.process.send_signal(number)
        run.demand_end(status, f"stasis: vm: ended by {name}")
    return test


def halted_by_signal(start):
    """A vCPU that waits in the kernel for an interrupt is woken, too."""
    run = start("halt")
    run.wait_for("halted")
    run.process.send_signal(signal.SIGTERM)
    run.demand_end(TERMINATED, "stasis: vm: ended by SIGTERM")


def all_cpus_by_signal(start):
    run = start("spin", "--cpus", "4", "--name", "four")
    run.wait_for("spinning")
    run.process.send_signal(signal.SIGTERM)
    run.demand_end(TERMINATED, "stasis: four: ended by SIGTERM")


def power_button(start):
    """SIGPWR asks the guest; one that does not listen runs on."""
    run = start("spin")
    run.wait_for("spinning")
    run.process.send_signal(signal.SIGPWR)
    time.sleep(0.3)
    demand(run.process.poll() is None, "SIGPWR ended the run")
    run.process.send_signal(signal.SIGTERM)
    run.demand_end(TERMINATED, "stasis: vm: ended by SIGTERM")


def while_rebooting(start):
    run = start("reset")
    for _ in range(3):
        run.wait_for("about to reset")
        run.seen = ""
    run.process.send_signal(signal.SIGTERM)
    run.demand_end(TERMINATED, "stasis: vm: ended by SIGTERM")


def reboot_exits(start):
    start("reset", "--on-reboot", "exit").demand_end(
        REBOOTED, "stasis: vm: the guest asked for a reset")


def escape_key(start):
    run = start("spin", on_terminal=True)
    run.wait_for("spinning")
    demand(run.is_raw(), "the terminal is not in raw mode")
    run.type(b"\x1dx")
    run.demand_end(INTERRUPTED, "stasis: vm: ended by Ctrl-] x")
    run.demand_restored()


def control_c_is_the_guests(start):
    run = start("spin", on_terminal=True)
    run.wait_for("spinning")
    run.type(b"\x03\x1c\x1a")
    time.sleep(0.3)
    demand(run.process.poll() is None, "Ctrl-C ended the run")
    run.type(b"\x1dx")
    run.demand_end(INTERRUPTED, "stasis: vm: ended by Ctrl-] x")


def typed_to_the_guest(start):
    run = start("serial_echo", on_terminal=True)
    run.wait_for("echo: ready")
    run.type(b"typed.")
    run.wait_for("typed.")
    run.demand_end(0, "stasis: vm: the guest powered off")
    run.demand_restored()


def terminal_after(number: int, status: int):
    def test(start):
        run = start("spin", on_terminal=True)
        run.wait_for("spinning")
        run.process.send_signal(number)
        run.demand_end(status, "")
        run.demand_restored()
    return test


def terminal_after_refusal(start):
    run = start("spin", "--initrd", "/no/such/file", on_terminal=True)
    run.demand_end(3, "")
    run.demand_restored()


def reader_gone(start):
    """A closed pipe on standard output ends the output, not the guest."""
    run = start("reset")
    run.wait_for("about to reset")
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, run.master)  # closes the pipe's only reading end
    os.close(null)
    time.sleep(0.3)
    demand(run.process.poll() is None, f"ended with {run.process.poll()}")
    run.process.send_signal(signal.SIGTERM)
    run.demand_end(TERMINATED, "stasis: vm: ended by SIGTERM")


TESTS = {
    "sigterm": by_signal(signal.SIGTERM, TERMINATED, "SIGTERM"),
    "sigint": by_signal(signal.SIGINT, INTERRUPTED, "SIGINT"),
    "sighup": by_signal(signal.SIGHUP, HUNG_UP, "SIGHUP"),
    "halted": halted_by_signal,
    "all-cpus": all_cpus_by_signal,
    "power-button": power_button,
    "while-rebooting": while_rebooting,
    "reboot-exits": reboot_exits,
    "escape-key": escape_key,
    "control-c": control_c_is_the_guests,
    "typed": typed_to_the_guest,
    "terminal-sigterm": terminal_after(signal.SIGTERM, TERMINATED),
    "terminal-sigsegv": terminal_after(signal.SIGSEGV, -signal.SIGSEGV),
    "terminal-sigquit": terminal_after(signal.SIGQUIT, -signal.SIGQUIT),
    "terminal-refusal": terminal_after_refusal,
    "reader-gone": reader_gone,
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
        runs = []

        def start(guest, *options, on_terminal=False):
            kernel = str(Path(arguments.guests) / f"{guest}.elf")
            runs.append(Run(arguments.stasis, kernel, *options, on_terminal=on_terminal))
            return runs[-1]

        try:
            TESTS[name](start)
            print(f"ok  {name}")
        except Wrong as wrong:
            failures += 1
            print(f"FAIL  {name}: {wrong}")
        finally:
            for run in runs:
                run.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
