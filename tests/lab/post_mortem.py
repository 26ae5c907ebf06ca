"""What a machine was doing when its case failed: for telling a fault of ours from one of the lab's CPU."""

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "format"))
from read_snapshot import Cbor, Damaged, read_state  # noqa: E402

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


def statistics() -> dict[str, int]:
    """KVM's counts of all machines; none where debugfs is not to be had."""
    counts = {}
    for folder in KVM_STATISTICS.glob("*-*"):
        for name in TELLING:
            if (value := read(folder / name)).isdigit():
                counts[f"{folder.name} {name}"] = int(value)
        for vcpu in folder.glob("vcpu*"):
            for file in vcpu.iterdir():
                if (value := read(file)).lstrip("-").isdigit():
                    counts[f"{folder.name} {vcpu.name} {file.name}"] = int(value)
    return counts


def timer_lines() -> list[str]:
    """KVM's timers for local APICs that this kernel knows of, and each CPU's next timer: how long until they
    expire. One that is overdue was forgotten by this kernel, or by the CPU that it runs on."""
    lines, cpu, now, timer = [], "", 0, ""
    for line in read(Path("/proc/timer_list")).splitlines():
        words = line.split()
        if line.startswith("now at"):
            now = int(words[2])
        elif line.startswith("cpu:"):
            cpu = words[1]
        elif line.startswith(" #") and "expires" not in line:
            timer = words[2].rstrip(",")
        elif "# expires at" in line and timer == "apic_timer_fn":
            due = int(words[3].split("-")[0]) - now
            lines.append(f"  CPU {cpu}: {timer} in {due / 1e6:.1f} ms")
        elif ".expires_next" in line:
            lines.append(f"  CPU {cpu}: next timer in {(int(words[2]) - now) / 1e6:.1f} ms")
    return lines + [f"  interrupts {line}" for line in read(Path("/proc/interrupts")).splitlines() if "LOC:" in line]


def vcpu_line(name: str, state: dict) -> str:
    """What a vCPU waits for: its timer (LAPIC, SDM 3, chapter 11), pending interrupts, and where it is."""
    lapic = [struct.unpack_from("<I", state["lapic"], place)[0] for place in range(0, 1024, 16)]
    msrs = {msr["index"]: msr["value"] for msr in state["msrs"]}
    registers = struct.unpack_from("<18Q", state["regs"])
    pending, served = ([number for number in range(256) if lapic[start + number // 32] >> number % 32 & 1]
                       for start in (0x20, 0x10))
    return (f"  {name}: state {state['mp_state']}, rip {registers[16]:x}, rflags {registers[17]:x}, tsc {state['tsc']}, "
            f"deadline {msrs.get(0x6E0)}, timer {lapic[0x32]:x} {lapic[0x38]:x} {lapic[0x39]:x}, spurious {lapic[0x0F]:x}, "
            f"pending {pending}, served {served}, kvm-clock {msrs.get(0x4B564D01, 0):x}, events {state['events'].hex()}")


def vcpu_lines(stasis: str, root: Path) -> list[str]:
    """By a snapshot of the machine as it is now."""
    lines = []
    for machine in (root / "vms").glob("*"):
        made = subprocess.run([stasis, "snapshot", "create", machine.name, "post-mortem"], check=False, timeout=100,
                              env={**os.environ, "STASIS_ROOT": str(root)}, capture_output=True, text=True)
        if made.returncode != 0:
            lines.append(f"  no snapshot of {machine.name}: {made.stderr.strip()}")
            continue
        newest = max((machine / "snapshots").glob("*/state.cbor"), key=lambda file: file.stat().st_mtime)
        for name, data in read_state(newest.read_bytes()):
            fields = Cbor(data, name).whole()["fields"]
            if name.startswith("vcpu."):
                lines.append(vcpu_line(name, fields))
            elif name == "vm":
                lines.append(f"  clock {fields['clock']}, pit {fields['pit'].hex()}")
    return lines


def post_mortem(stasis: str, root: Path) -> str:
    """A line for each thread and each count that tells, with what a second changed; then for each vCPU."""
    if not KVM_STATISTICS.is_dir() and os.geteuid() == 0:
        subprocess.run(["mount", "-t", "debugfs", "none", KVM_STATISTICS.parent], check=False)
    pids = machines_of(root)
    before, counted = {pid: threads(pid) for pid in pids}, statistics()
    lines = timer_lines()
    time.sleep(1)
    lines += timer_lines()
    after, counts = {pid: threads(pid) for pid in pids}, statistics()
    lines += [f"  {name}: {where}, {ticks - before[pid].get(name, (where, ticks))[1]} ticks in a second, {ticks} in all"
             for pid in pids for name, (where, ticks) in after[pid].items()]
    lines += [f"  {name}: {count}, {count - counted.get(name, count):+d} in a second"
              for name, count in counts.items() if count]
    try:
        lines += vcpu_lines(stasis, root)
    except (Damaged, OSError, ValueError, LookupError, subprocess.TimeoutExpired) as wrong:
        lines.append(f"  no snapshot: {wrong}")
    return "\n".join(lines or ["  no process is left"])
