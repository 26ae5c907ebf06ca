#!/usr/bin/env python3
"""Runs one tiny guest under `stasis run` and checks what it prints and how the run ends.

    run.py --stasis build/cli/stasis --guests build/tests/guests CASE
    run.py --list

Exit status: 0 passed, 1 failed, 77 skipped (no usable KVM here; Meson shows it as such).
"""

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from typing import Callable, Optional

SKIPPED = 77
POWER_OFF, PANIC, TRIPLE_FAULT, REBOOT = 0, 20, 21, 24


@dataclasses.dataclass
class Case:
    """What to run, and what must be seen. `status` None: it must still run when `until` was seen."""

    guest: str
    expect: list[str]  # regular expressions, to be found in this order
    options: list[str] = dataclasses.field(default_factory=list)
    status: Optional[int] = POWER_OFF
    deadline: float = 20
    stdin: Optional[tuple[str, bytes]] = None  # (regular expression to wait for, what to send then)
    until: Optional[str] = None
    check: Optional[Callable[[str], Optional[str]]] = None  # what is wrong with the output, or None
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)  # made in the case's folder


def smp(cpus: int) -> Case:
    def all_there(output: str) -> Optional[str]:
        seen = sorted(int(n) for n in re.findall(r"^processor (\d+)$", output, re.M))
        wanted = list(range(1, cpus))
        return None if seen == wanted else f"processors that came up: {seen}, wanted {wanted}"

    return Case("smp", [rf"processors: {cpus}\n"],
                ["--cpus", str(cpus), "--cmdline", f"cpus={cpus}"], check=all_there)


def memory(size: str, mebibytes: int, above_4g: bool) -> Case:
    def sums_up(output: str) -> Optional[str]:
        kibibytes = int(re.search(r"RAM in KiB: (\d+)", output).group(1))
        lost = mebibytes * 1024 - kibibytes
        if not 0 <= lost <= 2048:
            return f"{kibibytes} KiB of RAM for {mebibytes} MiB"
        if above_4g != bool(re.search(r"range 00000001\d{8} size \S+ type 1", output)):
            return f"RAM above 4 GiB: {not above_4g}, wanted {above_4g}"
        return None

    return Case("memory_layout", [r"wrong words: 0\n"], ["--memory", size], check=sums_up)


ALL_DEVICES = ["--disk", "{dir}/disk.img", "--disk", "{dir}/second.img,ro,id=two", "--net", "user"]
DISKS = {"disk.img": bytes(1 << 20), "second.img": bytes(1 << 20)}


def no_bad_table(output: str) -> Optional[str]:
    return "a checksum is bad" if "bad" in output else None


CASES = {
    "hello": Case("hello", [r"^hello from the guest\n$"]),
    "hello_32": Case("hello_32", [r"hello from an ELF32 image\n"]),
    "hello_64": Case("hello_64", [r"hello from 64-bit mode\n", r"cmdline: .*\bone two\n"],
                     ["--cmdline", "one two"]),
    "boot_info": Case("boot_info",
                      [r"magic: 336ec578\n", r"cmdline: .*\ba=b c\n", r"modules: 1\n",
                       r"module size: 5000\n", r"module text: initial RAM disk\n"],
                      ["--cmdline", "a=b c", "--initrd", "{dir}/initrd"],
                      files={"initrd": b"initial RAM disk".ljust(5000, b"\0")}),
    "boot_info_bare": Case("boot_info", [r"modules: 0\n"]),
    "long_mode": Case("long_mode", [r"long mode and back\n"]),
    "smp_2": smp(2),
    "smp_8": smp(8),
    "smp_32": smp(32),
    "memory_16M": memory("16M", 16, above_4g=False),
    "memory_256M": memory("256M", 256, above_4g=False),
    "memory_3G": memory("3G", 3 << 10, above_4g=False),
    "memory_6G": memory("6G", 6 << 10, above_4g=True),
    "timer": Case("timer", [r"pit: interrupts arrive\n", r"local apic timer: interrupts arrive\n"]),
    "serial_echo": Case("serial_echo", [r"echo: ready\n", r"The quick brown fox\.\n", r"echo: done\n"],
                        stdin=("echo: ready", b"The quick brown fox.")),
    "serial_echo_long": Case("serial_echo", ["x" * 5000 + r"\.\n", r"echo: done\n"],
                             stdin=("echo: ready", b"x" * 5000 + b".")),
    "pci_scan": Case("pci_scan",
                     [r"device 0: ", r"10421af4\n", r"10421af4\n", r"virtio functions: [34]\n",
                      r"ecam mismatches: 0\n"], ALL_DEVICES, files=DISKS),
    "acpi_walk": Case("acpi_walk", [r"RSDP ok\n", r"RSDP extended ok\n", r"XSDT ok\n"],
                      check=lambda output: no_bad_table(output) or next(
                          (f"no {table}" for table in ("FACP", "DSDT", "APIC", "MCFG")
                           if f"{table} ok\n" not in output), None)),
    "bad_io": Case("bad_io", [r"ports: survived\n", r"bars: survived\n", r"config space: survived\n"],
                   ALL_DEVICES, files=DISKS),
    "triple_fault": Case("triple_fault", [r"about to triple fault\n"], status=TRIPLE_FAULT),
    "panic": Case("panic", [r"about to panic\n"], status=PANIC),
    "reset_exit": Case("reset", [r"^about to reset\n$"], ["--on-reboot", "exit"], status=REBOOT),
    "reset_restarts": Case("reset", [], status=None, until=r"(about to reset\n[^a]*){3}"),
    "reboots": Case("reboots", [r"life 0 ", r"life 1 year 77 ", r"life 2 year 77 "],
                    check=lambda output: None if len(set(re.findall("generation (\\w+)", output))) == 1
                    else "a reboot changed the generation"),
    "spin": Case("spin", [], status=None, until=r"spinning\n"),
    "halt": Case("halt", [], status=None, until=r"halted\n"),
}


class Output:
    """Collects a pipe on a thread; `wait_for` sees it grow."""

    def __init__(self, pipe):
        self.text = ""
        self.changed = threading.Condition()
        self.ended = False
        self.thread = threading.Thread(target=self._collect, args=(pipe,), daemon=True)
        self.thread.start()

    def _collect(self, pipe):
        while chunk := os.read(pipe.fileno(), 65536):
            with self.changed:
                self.text += chunk.decode("latin-1").replace("\r\n", "\n")
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, pattern: str, until: float) -> bool:
        with self.changed:
            return bool(self.changed.wait_for(
                lambda: re.search(pattern, self.text) or self.ended, until - time.monotonic())
                and re.search(pattern, self.text))


def first_missing(expect: list[str], text: str) -> Optional[str]:
    position = 0
    for pattern in expect:
        found = re.compile(pattern).search(text, position)
        if not found:
            return pattern
        position = found.end()
    return None


def judge(case: Case, process: subprocess.Popen, output: Output) -> Optional[str]:
    """What is wrong, or None. The process may still run afterwards."""
    until = time.monotonic() + case.deadline
    if case.stdin:
        if not output.wait_for(case.stdin[0], until):
            return f'"{case.stdin[0]}" did not come'
        process.stdin.write(case.stdin[1])
        process.stdin.flush()
    if case.until:
        if not output.wait_for(case.until, until):
            return f'"{case.until}" did not come'
        time.sleep(0.2)  # it must not end by itself
    if case.status is None:
        return None if process.poll() is None else f"ended by itself with {process.returncode}"
    try:
        status = process.wait(until - time.monotonic())
    except subprocess.TimeoutExpired:
        return f"still running after {case.deadline} s"
    output.thread.join()
    if status != case.status:
        return f"exit status {status}, wanted {case.status}"
    missing = first_missing(case.expect, output.text)
    if missing:
        return f'"{missing[:200]}" is not in the output'
    return case.check(output.text) if case.check else None


def run(case: Case, stasis: str, guests: str, folder: str) -> Optional[str]:
    for name, content in case.files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    options = [option.replace("{dir}", folder) for option in case.options]
    command = [stasis, "run", "--kernel", os.path.join(guests, case.guest + ".elf"), *options]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=errors)
        output = Output(process.stdout)
        try:
            wrong = judge(case, process, output)
        finally:
            process.kill()
            process.wait()
        if wrong:
            errors.seek(0)
            print(f"ran: {' '.join(command)}\noutput:\n{output.text[-4000:]}")
            print(f"errors:\n{errors.read().decode(errors='replace')[-4000:]}")
        return wrong


def kvm_is_usable() -> bool:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        return True
    except OSError as error:
        print(f"skipped: /dev/kvm: {error.strerror}")
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stasis", default="build/cli/stasis")
    parser.add_argument("--guests", default="build/tests/guests")
    parser.add_argument("--list", action="store_true", help="print the names of all cases")
    parser.add_argument("case", nargs="?", choices=sorted(CASES))
    arguments = parser.parse_args()
    if arguments.list or not arguments.case:
        print("\n".join(CASES))
        return 0
    if not kvm_is_usable():
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="stasis-guest-") as folder:
        wrong = run(CASES[arguments.case], arguments.stasis, arguments.guests, folder)
    print(f"{arguments.case}: {wrong or 'passed'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
