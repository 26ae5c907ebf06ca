#!/usr/bin/env python3
"""Ends running guests from outside: by signals and, on a terminal, by the escape key.

    endings.py --stasis build/cli/stasis --guests build/tests/guests [NAME]

Checks the exit code, the one sentence on standard error, and that a terminal is in raw mode while
the guest runs and as before afterwards, whatever the end was.
Exit status: 0 passed, 1 failed, 77 skipped (no KVM that can be used).
"""

import os
import signal
import sys
import time

from front import Front, demand
from world import World, run_tests

REBOOTED, HUNG_UP, INTERRUPTED, TERMINATED = 24, 129, 130, 143


def run(world: World, guest: str, *options: str, on_terminal: bool = False) -> Front:
    return world.attach("run", "--kernel", world.kernel(guest), *options, on_terminal=on_terminal)


def by_signal(number: int, status: int, name: str, guest: str = "spin", text: str = "spinning",
              options: tuple[str, ...] = (), machine: str = "vm"):
    def test(world):
        front = run(world, guest, *options)
        front.wait_for(text)
        front.process.send_signal(number)
        front.demand_last_line(status, f"stasis: {machine}: ended by {name}")
    return test


def power_button(world):
    """SIGPWR asks the guest; one that does not listen runs on."""
    front = run(world, "spin")
    front.wait_for("spinning")
    front.process.send_signal(signal.SIGPWR)
    time.sleep(0.3)
    demand(front.process.poll() is None, "SIGPWR ended the run")
    front.process.send_signal(signal.SIGTERM)
    front.demand_last_line(TERMINATED, "stasis: vm: ended by SIGTERM")


def while_rebooting(world):
    front = run(world, "reset")
    for _ in range(3):
        front.wait_for("about to reset")
        front.seen = ""
    front.process.send_signal(signal.SIGTERM)
    front.demand_last_line(TERMINATED, "stasis: vm: ended by SIGTERM")


def reboot_exits(world):
    run(world, "reset", "--on-reboot", "exit").demand_last_line(
        REBOOTED, "stasis: vm: the guest asked for a reset")


def escape_key(world):
    front = run(world, "spin", on_terminal=True)
    front.wait_for("spinning")
    demand(front.is_raw(), "the terminal is not in raw mode")
    front.type(b"\x1dx")
    front.demand_last_line(INTERRUPTED, "stasis: vm: ended by Ctrl-] x")


def control_c_is_the_guests(world):
    front = run(world, "spin", on_terminal=True)
    front.wait_for("spinning")
    front.type(b"\x03\x1c\x1a")
    time.sleep(0.3)
    demand(front.process.poll() is None, "Ctrl-C ended the run")
    front.type(b"\x1dx")
    front.demand_last_line(INTERRUPTED, "stasis: vm: ended by Ctrl-] x")


def typed_to_the_guest(world):
    front = run(world, "serial_echo", on_terminal=True)
    front.wait_for("echo: ready")
    front.type(b"typed.")
    front.wait_for("typed.")
    front.demand_last_line(0, "stasis: vm: the guest powered off")


def terminal_after(number: int, status: int):
    def test(world):
        front = run(world, "spin", on_terminal=True)
        front.wait_for("spinning")
        front.process.send_signal(number)
        front.demand_end(status, "")
    return test


def terminal_after_refusal(world):
    front = run(world, "spin", "--initrd", "/no/such/file", on_terminal=True)
    front.demand_end(3, "")


def reader_gone(world):
    """A closed pipe on standard output ends the output, not the guest."""
    front = run(world, "reset")
    front.wait_for("about to reset")
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, front.master)  # closes the pipe's only reading end
    os.close(null)
    time.sleep(0.3)
    demand(front.process.poll() is None, f"ended with {front.process.poll()}")
    front.process.send_signal(signal.SIGTERM)
    front.demand_last_line(TERMINATED, "stasis: vm: ended by SIGTERM")


TESTS = {
    "sigterm": by_signal(signal.SIGTERM, TERMINATED, "SIGTERM"),
    "sigint": by_signal(signal.SIGINT, INTERRUPTED, "SIGINT"),
    "sighup": by_signal(signal.SIGHUP, HUNG_UP, "SIGHUP"),
    # a vCPU that waits in the kernel for an interrupt is woken, too
    "halted": by_signal(signal.SIGTERM, TERMINATED, "SIGTERM", "halt", "halted"),
    "all-cpus": by_signal(signal.SIGTERM, TERMINATED, "SIGTERM", options=("--cpus", "4", "--name", "four"),
                          machine="four"),
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


if __name__ == "__main__":
    sys.exit(run_tests(__doc__.splitlines()[0], TESTS))
