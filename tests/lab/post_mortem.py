"""What a machine was doing when its case failed: for telling a fault of ours from one of the lab's CPU."""

import os
import subprocess
import time
from pathlib import Path

KVM_STATISTICS = Path("/sys/kernel/debug/kvm")
TELLING = ("exits", "halt_exits", "halt_wakeup", "irq_exits", "irq_injections", "irq_window_exits", "io_exits",
           "mmio_exits", "insn_emulation", "signal_exits")


def machines_of(root: Path) -> list[int]:
    """Processes whose machines are below `root`."""
    mark = f"STASIS_ROOT={root}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            pass  # it has ended
    return found


def read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def threads(pid: int) -> dict[str, tuple[str, int]]:
    """By name and number: what each thread waits for, and the clock ticks it has had."""
    seen = {}
    for task in Path(f"/proc/{pid}/task").glob("*"):
        fields = read(task / "stat").rpartition(")")[2].split()
        if fields:
            where = read(task / "wchan").strip("0") or "on a CPU"
            seen[f"{read(task / 'comm')} {task.name}"] = (f"{fields[0]} {where}", int(fields[11]) + int(fields[12]))
    return seen


def statistics(pid: int) -> dict[str, int]:
    """KVM's counts; none where debugfs is not to be had."""
    counts = {}
    for folder in KVM_STATISTICS.glob(f"{pid}-*"):
        for name in TELLING:
            if (value := read(folder / name)).isdigit():
                counts[name] = int(value)
        for vcpu in folder.glob("vcpu*"):
            for file in vcpu.iterdir():
                if (value := read(file)).lstrip("-").isdigit():
                    counts[f"{vcpu.name} {file.name}"] = int(value)
    return counts


def post_mortem(root: Path) -> str:
    """A line for each thread and each count that tells, with what a second changed."""
    if not KVM_STATISTICS.is_dir() and os.geteuid() == 0:
        subprocess.run(["mount", "-t", "debugfs", "none", KVM_STATISTICS.parent], check=False)
    lines = []
    for pid in machines_of(root):
        before, counted = threads(pid), statistics(pid)
        time.sleep(1)
        after, counts = threads(pid), statistics(pid)
        lines += [f"  {name}: {where}, {ticks - before.get(name, (where, ticks))[1]} ticks in a second, {ticks} in all"
                  for name, (where, ticks) in after.items()]
        lines += [f"  {name}: {count}, {count - counted.get(name, count):+d} in a second"
                  for name, count in counts.items() if count]
    return "\n".join(lines or ["  no process is left"])
