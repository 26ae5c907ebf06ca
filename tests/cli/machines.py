#!/usr/bin/env python3
"""Named machines from outside: from `run --name` to `rm`, with tiny guests.

    machines.py --stasis build/cli/stasis --guests build/tests/guests [NAME]...

Each test has a state root of its own. Exit status: 0 passed, 1 failed, 77 skipped (no KVM that can
be used).
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from world import (DAMAGED, DEADLINE, INTERRUPTED, NOT_FOUND, OK, PANICKED, REFUSED, TIMED_OUT, TRIPLE_FAULT, USAGE,
                   WRONG_STATE, World, demand, run_tests, wait_for)


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


def started_without_files(world: World) -> None:
    """By a caller that has closed standard input, output and error: no file of ours takes their numbers."""
    command = [world.stasis, "run", "--detach", "--name", "one", "--kernel", world.kernel("spin")]
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], env=world.env, timeout=DEADLINE,
                          check=False)
    demand(done.returncode == OK, f"exit code {done.returncode}")
    world.wait_for_log("one", "spinning")
    demand(world.state("one") == "running", world.state("one"))
    world.call("kill", "one")


def room_for_files(world: World) -> None:
    """Each layer of a disk is an open file, and a table of them that has to grow stops who opens one."""
    world.run("one", "spin")
    for begin in ("run", "start"):
        process = Path(f"/proc/{world.machine('one')['pid']}")
        size = int((process / "status").read_text(encoding="utf-8").split("FDSize:")[1].split()[0])
        demand(size >= 1024, f"after {begin}: a table of {size} files")
        os.kill(int(process.name), signal.SIGTERM)
        wait_for("end of the process", lambda process=process: not process.exists())
        world.call("start", "one")


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
        _, talk = world.call("start", "one", "--from", "none", status=NOT_FOUND)
        demand("crashed" in talk and reason in talk, f"a start that fails said {talk!r}")
        world.call("snapshot", "create", "one")  # in a process that stays for a moment
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
    text = b"x" * 2500 + b"."  # more than the guest takes at once
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
    front.demand_end(INTERRUPTED, "one: ended by Ctrl-] x")
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


def user_network(world: World) -> None:
    """Needs a library: the program that can load it takes over, from whichever verb."""
    world.run("one", "spin", "--net", "user")
    world.wait_for_log("one", "spinning")
    world.call("snapshot", "create", "one", "s")
    world.call("kill", "one")
    world.call("start", "one")
    world.wait_for_log("one", "spinning", 2)
    world.call("kill", "one")
    world.call("start", "one", "--from", "s")
    demand(world.state("one") == "running", "it does not run from its snapshot")
    pid = world.machine("one")["pid"]
    exe = os.readlink(f"/proc/{pid}/exe")
    demand(os.path.basename(exe) in ("stasis", "stasis-dynamic"), f"its process runs {exe}")
    world.call("kill", "one")
    wait_for("the process's end", lambda: not os.path.exists(f"/proc/{pid}"))
    world.call("snapshot", "create", "one", "off")  # of one that is off: by a process that waits
    pid = world.machine("one")["pid"]
    if os.path.basename(exe) == "stasis":
        return  # a build whose only program loads libraries
    wait_for("the process's end", lambda: not os.path.exists(f"/proc/{pid}"))
    alone = shutil.copy(world.stasis, world.root)
    for words in (["start", "one"], ["run", "--net", "user", "--kernel", world.kernel("spin")]):
        done = subprocess.run([alone, *words], env=world.env, capture_output=True, text=True, timeout=DEADLINE,
                              check=False)
        demand(done.returncode == REFUSED, f"{words}: exit code {done.returncode}: {done.stderr}")
        demand(f'"{world.root}/stasis-dynamic"' in done.stderr, f"{words}: it says {done.stderr}")
    demand(world.state("one") == "off", world.state("one"))


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
    "without-files": started_without_files,
    "files": room_for_files,
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
    "user-network": user_network,
    "json": records,
}


if __name__ == "__main__":
    sys.exit(run_tests(__doc__.splitlines()[0], TESTS))
