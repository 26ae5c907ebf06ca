#!/usr/bin/env python3
"""Snapshots of named machines from outside, with tiny guests.

    snapshots.py --stasis build/cli/stasis --guests build/tests/guests [NAME]...

Each test has a state root of its own. Exit status: 0 passed, 1 failed, 77 skipped (no KVM that can
be used).
"""

import os
import signal
import sys
import time
from pathlib import Path

from world import (BUSY, DAMAGED, DEADLINE, INTERRUPTED, NOT_FOUND, USAGE, WRONG_STATE, World, demand,
                   run_tests, wait_for)


def ready_echo(world: World, *options: str) -> None:
    """Machine "one", which echoes what is typed until a "."."""
    world.run("one", "serial_echo", "--memory", "64M", *options)
    world.wait_for_log("one", "echo: ready")


def create(world: World, *words: str) -> dict:
    return world.json("snapshot", "create", "one", *words)["snapshot"]


def demand_echo(world: World, text: str) -> None:
    out, _ = world.call("console", "one", stdin=f"{text}.".encode())
    demand(f"{text}." in out and "echo: done" in out, f"the guest said {out!r}")


def names(world: World) -> list[str]:
    return [one["name"] for one in world.json("snapshot", "list", "one")["snapshots"]]


def killed_and_started(world: World) -> None:
    """The story of the project: full snapshot, kill -9, start from it."""
    ready_echo(world)
    made = create(world, "clean", "--notes", "before")
    demand(made["type"] == "full" and made["has_memory"] and made["engine"] == "fork", str(made))
    demand(made["pause_ms"] > 0 and made["captured_bytes"] > 0, str(made))
    demand(world.state("one") == "running", "the snapshot changed the state")
    os.kill(world.machine("one")["pid"], signal.SIGKILL)
    wait_for("crash", lambda: world.state("one") == "crashed")
    for _ in range(2):  # from off, and again from what ran from it
        machine = world.json("start", "one", "--from", "clean")["machine"]
        demand(machine["state"] == "running", str(machine))
        demand(machine["last_applied_snapshot"] == made["id"], str(machine))
        demand_echo(world, "abc")
        wait_for("end", lambda: world.state("one") == "off")
    demand(world.call("logs", "one")[0].count("echo: ready") == 1, "it booted instead")
    demand(world.json("snapshot", "show", "one", "clean")["snapshot"] == made, "it changed")


def engines(world: World) -> None:
    ready_echo(world)
    for engine in ("fork", "stop-and-copy"):
        for more in ([], ["--compress=1"]):
            demand(create(world, "x", "--engine", engine, *more)["engine"] == engine, engine)
    for number, one in enumerate(world.json("snapshot", "list", "one")["snapshots"]):
        world.call("snapshot", "verify", "one", one["id"])
        if world.state("one") == "running":
            world.call("kill", "one")
        world.call("start", "one", "--from", one["id"][:13])
        demand_echo(world, f"take{number}")
        wait_for("end", lambda: world.state("one") == "off")


def applied_in_place(world: World) -> None:
    ready_echo(world)
    create(world, "clean")
    pid = world.machine("one")["pid"]
    record = world.json("snapshot", "apply", "one", "clean", "--clock", "freeze")
    demand(record["state"] == "running", str(record))
    demand(world.machine("one")["pid"] == pid, "another process")
    world.call("pause", "one")
    demand(world.json("snapshot", "apply", "one", "clean")["state"] == "paused", "it runs")
    world.call("resume", "one")
    demand_echo(world, "xyz")


def saved(world: World) -> None:
    """Applied to a machine that is off: saved, until it is started or switched off."""
    ready_echo(world)
    create(world, "clean")
    world.call("kill", "one")
    demand(world.json("snapshot", "apply", "one", "clean")["state"] == "saved", "not saved")
    pid = world.machine("one")["pid"]
    wait_for("end of the idle process", lambda: not Path(f"/proc/{pid}").exists())
    demand(world.state("one") == "saved", "not saved without a process")
    _, talk = world.call("stop", "one", status=WRONG_STATE)
    demand("is saved" in talk and "stasis kill one" in talk, talk)
    world.call("start", "one")
    demand_echo(world, "abc")
    wait_for("end", lambda: world.state("one") == "off")
    world.call("snapshot", "apply", "one", "clean")
    world.call("kill", "one")
    demand(world.state("one") == "off", "it is still saved")
    world.call("start", "one")
    world.wait_for_log("one", "echo: ready", 2)


def of_disks(world: World) -> None:
    disk = Path(world.root) / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    ready_echo(world, "--disk", str(disk))
    made = create(world, "disks", "--type", "disk")
    demand(made["type"] == "disk" and not made["has_memory"], str(made))
    demand(len(list((world.folder("one") / "disks").iterdir())) == 1, "no overlay")
    demand(world.json("snapshot", "apply", "one", "disks")["state"] == "off", "it still runs")
    world.call("start", "one")
    world.wait_for_log("one", "echo: ready", 2)
    world.call("kill", "one")
    made = create(world, "off")
    demand(not made["has_memory"] and made["parent"] is not None, str(made))
    world.call("start", "one", "--from", "off")
    world.wait_for_log("one", "echo: ready", 3)


def tree(world: World) -> None:
    ready_echo(world)
    first = create(world, "first")
    second = create(world, "second")
    third = create(world, "third")
    demand(second["parent"] == first["id"] and third["parent"] == second["id"], "parents")
    demand(world.json("snapshot", "list", "one")["current"] == third["id"], "current")
    text, _ = world.call("snapshot", "list", "one", "--tree")
    starts = [line.index(one["id"][:8]) for line, one in zip(text.splitlines(), (first, second, third))]
    demand(starts == sorted(set(starts)), f"no tree: {text}")
    demand(text.splitlines()[2].startswith("*"), f"the current one is not marked: {text}")
    demand(world.json("snapshot", "delete", "one", "second")["deleted"] == second["id"], "delete")
    demand(world.json("snapshot", "show", "one", "third")["snapshot"]["parent"] == first["id"],
           "the child went astray")
    world.call("snapshot", "rename", "one", "third", "last", "--notes", "text")
    shown = world.json("snapshot", "show", "one", "last")["snapshot"]
    demand(shown["notes"] == "text", str(shown))
    world.call("snapshot", "delete", "one", "first", "--tree")
    demand(names(world) == [], "something is left")
    demand_echo(world, "abc")


def choices(world: World) -> None:
    ready_echo(world)
    ids = [create(world, "twice")["id"] for _ in range(2)]
    _, talk = world.call("snapshot", "show", "one", "twice", status=USAGE)
    demand(all(one in talk for one in ids), f"the ids are not named: {talk}")
    world.call("snapshot", "show", "one", ids[0].lower())
    world.call("snapshot", "show", "one", ids[1][:13])
    world.call("snapshot", "show", "one", "twcie", status=NOT_FOUND)
    world.call("start", "one", "--from", ids[0], status=WRONG_STATE)
    demand(world.call("snapshot", "create", "one")[0].splitlines()[0].split("  ")[1] != "", "no name")


def selftest(world: World) -> None:
    world.run("one", "spin", "--cpus", "2", "--memory", "64M")
    world.wait_for_log("one", "spinning")
    for is_paused in (False, True):
        if is_paused:
            world.call("pause", "one")
        record = world.json("snapshot", "selftest", "one")
        demand(record["passed"] and "equal" in record["compared"], str(record))


def damaged(world: World) -> None:
    ready_echo(world)
    made = create(world, "clean")
    state = world.folder("one") / "snapshots" / made["id"] / "state.cbor"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.chmod(0o600)
    state.write_bytes(content)
    _, talk = world.call("snapshot", "verify", "one", "clean", status=DAMAGED)
    demand("state.cbor" in talk, talk)
    _, talk = world.call("snapshot", "apply", "one", "clean", status=DAMAGED)
    demand(world.state("one") == "running", "the old present does not go on")
    demand_echo(world, "abc")


def interrupted(world: World) -> None:
    """Ctrl-C while memory is written: nothing is left, and the guest runs on."""
    world.run("one", "filled", "--memory", "512M")
    world.wait_for_log("one", "filled")
    create_one = world.start("snapshot", "create", "one", "late", "--compress=19")
    wait_for("work", lambda: list((world.folder("one") / "snapshots").iterdir()) != [])
    _, busy = world.call("snapshot", "create", "one", "other", status=BUSY)
    demand("late" in busy, f"the work is not named: {busy}")
    create_one.send_signal(signal.SIGINT)
    _, talk = create_one.communicate(timeout=DEADLINE)
    demand(create_one.returncode == INTERRUPTED, f"exit code {create_one.returncode}: {talk}")
    demand(list((world.folder("one") / "snapshots").iterdir()) == [], "something is left")
    demand(names(world) == [] and world.state("one") == "running", "it did not run on")


def killed_in_the_middle(world: World) -> None:
    """kill -9 of the machine's process while a snapshot is written."""
    ready_echo(world)
    create(world, "clean")
    for delay in (0, 0.01, 0.03):
        pid = world.machine("one")["pid"]
        work = world.start("snapshot", "create", "one", "late")
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        work.communicate(timeout=DEADLINE)
        for one in world.json("snapshot", "list", "one")["snapshots"]:
            world.call("snapshot", "verify", "one", one["id"])
        world.call("start", "one", "--from", "clean")
    demand_echo(world, "abc")


TESTS = {
    "killed": killed_and_started,
    "engines": engines,
    "applied": applied_in_place,
    "saved": saved,
    "disks": of_disks,
    "tree": tree,
    "choices": choices,
    "selftest": selftest,
    "damaged": damaged,
    "interrupted": interrupted,
    "killed-in-the-middle": killed_in_the_middle,
}


if __name__ == "__main__":
    sys.exit(run_tests(__doc__.splitlines()[0], TESTS))
