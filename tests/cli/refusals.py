#!/usr/bin/env python3
"""Runs the real program with input that it must refuse, before any guest starts.

    refusals.py --stasis build/cli/stasis --guests build/tests/guests GROUP

For each case: the exit code, nothing on standard output, and one sentence on standard error that
names the value, the reason and the remedy.
Exit status: 0 passed, 1 failed, 77 skipped (the group needs KVM and there is none).
"""

import argparse
import contextlib
import fcntl
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

SKIPPED = 77
USAGE, REFUSED, NOT_FOUND = 2, 3, 5


class Case:
    """Arguments, the exit code, and what the sentence must have (regular expressions)."""

    def __init__(self, name: str, arguments: list[str], status: int, *words: str):
        self.name, self.arguments, self.status, self.words = name, arguments, status, words


def run_case(name, arguments, *words):
    return Case(name, ["run", "--kernel", "{guest}", "--console", "none", *arguments], *words)


def usage(name: str, arguments: list[str], *words: str) -> Case:
    """A value that cannot be."""
    return run_case(name, arguments, USAGE, *words)


def refused(name: str, arguments: list[str], *words: str) -> Case:
    """Something that is not there or cannot be had."""
    return run_case(name, arguments, REFUSED, *words)


def kernel(name: str, file: str, *words: str) -> Case:
    return Case(name, ["run", "--console", "none", "--kernel", file], REFUSED, *words)


VALUES = [
    Case("no verb", [], USAGE, "no verb", "--help"),
    Case("unknown verb", ["rnu"], USAGE, '"rnu"', "unknown verb", "did you mean run"),
    Case("far verb", ["frobnicate"], USAGE, '"frobnicate"', "valid: run"),
    Case("no kernel", ["run"], USAGE, "no --kernel", "--kernel FILE"),
    usage("unknown option", ["--memroy", "1G"], '"--memroy"', "did you mean --memory"),
    usage("stray word", ["vmlinuz"], '"vmlinuz"', "unexpected", "--"),
    usage("option twice", ["--cpus", "1", "--cpus", "2"], "--cpus", "2 times", "once"),
    usage("value missing", ["--cpus"], "--cpus", "no value", "--cpus N"),
    usage("memory 0", ["--memory", "0"], '"0"', "nothing", "such as 512M"),
    usage("memory -1", ["--memory", "-1"], '"-1"', "negative", "such as 512M"),
    usage("memory 1e18", ["--memory", "1e18"], '"1e18"', "unit", "such as 512M"),
    usage("memory 12Q", ["--memory", "12Q"], '"12Q"', 'unknown unit "Q"', "such as 512M"),
    usage("memory no unit", ["--memory", "512"], '"512"', "no unit", "such as 512M"),
    usage("memory overflow", ["--memory", "99999999999999999999G"], "64 bits", "such as 512M"),
    usage("memory of ten hosts", ["--memory", "900T"], '"900T"', "more than the .* this host has",
          "give less"),
    usage("memory 4K", ["--memory", "4K"], '"4K"', "too little", "at least"),
    usage("cpus 0", ["--cpus", "0"], '"0"', "out of range", "from 1 to 32"),
    usage("cpus 33", ["--cpus", "33"], '"33"', "out of range", "from 1 to 32"),
    usage("cpus -1", ["--cpus", "-1"], '"-1"', "not a whole number", "from 1 to 32"),
    usage("cpu model", ["--cpu", "hots"], '"hots"', "unknown", "did you mean host"),
    usage("disk key", ["--disk", "{disk},rw"], '"rw"', "unknown key", "did you mean ro",
          "format, backing, ro, id"),
    usage("disk far key", ["--disk", "{disk},cache=none"], '"cache"', "valid: format, backing, ro, id"),
    usage("disk format", ["--disk", "{disk},format=vmdk"], '"vmdk"', "unknown format",
          "qemu-img convert"),
    usage("disk backing of raw", ["--disk", "{disk},backing={other}"], "{disk}", "raw image",
          "format=qcow2"),
    usage("disk raw over raw",
          ["--disk", "{disk},format=qcow2,backing={other},backing=raw:{other}"],
          "raw:{other}", "cannot lie over another", "base first"),
    usage("disk twice", ["--disk", "{disk}", "--disk", "{disk},ro"], "{disk}", "twice", "once"),
    usage("disk id twice", ["--disk", "{disk},id=a", "--disk", "{other},id=a"], '"a"', "taken",
          "id=ID"),
    usage("disk id too long", ["--disk", "{disk},id=123456789012345678901"],
          '"123456789012345678901"', "20 bytes", "shorten"),
    usage("net kind", ["--net", "usr"], '"usr"', "unknown", "did you mean user"),
    usage("net key", ["--net", "user,foward=tcp:1:2"], '"foward"', "did you mean forward"),
    usage("port 0", ["--net", "user,forward=tcp:0:80"], '"0"', "range", "1 to 65535"),
    usage("port 65536", ["--net", "user,forward=tcp:80:65536"], '"65536"', "range", "1 to 65535"),
    usage("forward", ["--net", "user,forward=80"], '"80"', "not a forward", "tcp:8080:80"),
    Case("console", ["run", "--kernel", "{guest}", "--console", "stdoi"], USAGE, '"stdoi"',
         "unknown", "did you mean stdio"),
    Case("console key", ["run", "--kernel", "{guest}", "--console", "stdio,port=1"], USAGE, '"port"',
         "unknown", "valid: device"),
    usage("name with a slash", ["--name", "a/b"], '"a/b"', "not allowed", "use letters"),
    usage("reboot", ["--on-reboot", "halt"], '"halt"', "valid: restart, exit"),
    usage("detach without a name", ["--detach"], "--detach", "add: --name NAME"),
    usage("json without detach", ["--json"], "--json", "is for --detach"),
    Case("start: no machine", ["start"], USAGE, "start: no VM", "write VM"),
    Case("start: clock alone", ["start", "a", "--clock", "freeze"], USAGE, "--clock", "add --from"),
    Case("start: clock", ["start", "a", "--from", "s", "--clock", "stop"], USAGE, '"stop"', "unknown",
         "valid: catch-up, freeze"),
    Case("start: bad name", ["start", "../a"], USAGE, '"../a"', "start it with a letter or a digit"),
    Case("start: no such machine", ["start", "nobody"], NOT_FOUND, '"nobody"', "not found",
         "stasis run --name"),
    Case("stop: time", ["stop", "a", "--timeout", "1d"], USAGE, '"1d"', "not a time", "2m"),
    Case("stop: no such machine", ["stop", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("kill: no such machine", ["kill", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("pause: two machines", ["pause", "a", "b"], USAGE, '"b"', "unexpected"),
    Case("resume: no machine", ["resume"], USAGE, "no VM"),
    Case("rm: option", ["rm", "a", "--froce"], USAGE, '"--froce"', "did you mean --force"),
    Case("rm: no such machine", ["rm", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("ps: argument", ["ps", "a"], USAGE, '"a"', "unexpected"),
    Case("ps: letter", ["ps", "-b"], USAGE, '"-b"', "unexpected"),
    Case("info: no such machine", ["info", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("console: no such machine", ["console", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("logs: no such machine", ["logs", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("snapshot: no verb", ["snapshot"], USAGE, "no verb", "valid: create, list"),
    Case("snapshot: verb", ["snapshot", "craete"], USAGE, '"craete"', "did you mean create"),
    Case("create: no machine", ["snapshot", "create"], USAGE, "no VM"),
    Case("create: type", ["snapshot", "create", "a", "--type", "ful"], USAGE, '"ful"', "unknown",
         "did you mean full"),
    Case("create: engine", ["snapshot", "create", "a", "--engine", "magic"], USAGE, '"magic"',
         "unknown", "valid: auto, fork, stop-and-copy"),
    Case("create: level", ["snapshot", "create", "a", "--compress=20"], USAGE, "--compress", '"20"',
         "from 1 to 19"),
    Case("create: engine for disks", ["snapshot", "create", "a", "--type", "disk", "--compress"],
         USAGE, "are for memory", "--type full"),
    Case("create: name", ["snapshot", "create", "a", "x" * 101], USAGE, "101 characters",
         "at most 100"),
    Case("create: no such machine", ["snapshot", "create", "nobody"], NOT_FOUND, '"nobody"',
         "not found"),
    Case("list: no such machine", ["snapshot", "list", "nobody"], NOT_FOUND, '"nobody"', "not found"),
    Case("show: no snapshot", ["snapshot", "show", "a"], USAGE, "no SNAP"),
    Case("apply: no such machine", ["snapshot", "apply", "nobody", "x"], NOT_FOUND, '"nobody"',
         "not found"),
    Case("rename: no name", ["snapshot", "rename", "a", "b"], USAGE, "no NAME"),
    Case("rename: blank", ["snapshot", "rename", "a", "b", " "], USAGE, "is blank"),
    Case("delete: no snapshot", ["snapshot", "delete", "a"], USAGE, "no SNAP"),
    Case("verify: no snapshot", ["snapshot", "verify", "a"], USAGE, "no SNAP"),
    Case("selftest: no machine", ["snapshot", "selftest"], USAGE, "no VM"),
    Case("doctor option", ["doctor", "--jsno"], USAGE, '"--jsno"', "did you mean --json"),
]

FILES = [
    kernel("kernel missing", "{dir}/no-such", "no-such", "[Nn]o such file|not found"),
    kernel("kernel is a folder", "{dir}", "{dir}", "folder|directory"),
    kernel("kernel is text", "{dir}/text", "text"),
    kernel("kernel is empty", "{dir}/empty", "empty"),
    kernel("kernel is truncated", "{dir}/truncated", "truncated"),
    kernel("kernel is 32-bit", "{dir}/elf32", "elf32"),
    kernel("kernel is a 32-bit bzImage", "{dir}/bzimage32", "bzimage32", "32-bit", "amd64"),
    kernel("kernel is an old bzImage", "{dir}/bzimage-old", "bzimage-old", "2.11", "Linux 3.8"),
    kernel("kernel is half a bzImage", "{dir}/bzimage-half", "bzimage-half", "truncated", "again"),
    kernel("kernel is arm64", "{dir}/arm64", "arm64"),
    refused("initrd missing", ["--initrd", "{dir}/no-such"], "no-such", "[Nn]o such file|not found"),
    refused("disk missing", ["--disk", "{dir}/no-such"], "no-such", "[Nn]o such file|not found"),
    refused("disk is a folder", ["--disk", "{dir}"], "{dir}", "folder|directory"),
    refused("disk locked", ["--disk", "{locked}"], "{locked}", "lock|use"),
    refused("too many disks", [word for n in range(40) for word in ("--disk", f"{{dir}}/disk{n}")],
            '"disk', "the PCI bus is full", "at most"),
    refused("port in use", ["--net", "user,forward=tcp:{port}:80"], "{port}", "in use|taken"),
    Case("console file in no folder", ["run", "--kernel", "{guest}", "--console",
                                       "file={dir}/no/log"], REFUSED, "no/log", "such file|not found"),
]

GROUPS = {"values": VALUES, "files": FILES}


def elf(bits: int, machine: int) -> bytes:
    """An ELF executable's header, with no program headers, for another machine."""
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    word = 8 if bits == 64 else 4
    fields = [(2, 2), (machine, 2), (1, 4), (0x100000, word), (0, word), (0, word), (0, 4)]
    fields += [(52 if bits == 32 else 64, 2), (56 if bits == 64 else 32, 2)] + [(0, 2)] * 4
    header = ident + b"".join(value.to_bytes(size, "little") for value, size in fields)
    return header.ljust(4096, b"\0")


def bzimage(protocol: int, loads_64_bit: bool) -> bytes:
    """The first sectors of a bzImage that goes on for a mebibyte (Linux x86 boot protocol, 1.3)."""
    image = bytearray(4096)
    def put(offset: int, size: int, value: int) -> None:
        image[offset:offset + size] = value.to_bytes(size, "little")
    put(0x1F1, 1, 4)  # setup sectors
    put(0x1F4, 4, (1 << 20) // 16)  # protected-mode code, in paragraphs
    put(0x1FE, 2, 0xAA55)
    put(0x200, 2, 0x6AEB)  # a jump over the header
    image[0x202:0x206] = b"HdrS"
    put(0x206, 2, protocol)
    put(0x236, 2, int(loads_64_bit))  # XLF_KERNEL_64
    return bytes(image)


@contextlib.contextmanager
def surroundings(guest: str):
    """Files, a locked disk and a used port; yields the words that cases may name."""
    with tempfile.TemporaryDirectory(prefix="stasis-cli-") as folder:
        path = Path(folder)
        image = Path(guest).read_bytes()
        contents = {"text": b"not a kernel\n" * 100, "empty": b"", "truncated": image[:100],
                    "elf32": elf(32, 3), "arm64": elf(64, 183), "bzimage32": bzimage(0x20F, False),
                    "bzimage-old": bzimage(0x20B, False), "bzimage-half": bzimage(0x20F, True), "disk.img": bytes(1 << 20),
                    "other.img": bytes(1 << 20), "locked.img": bytes(1 << 20)}
        contents |= {f"disk{n}": bytes(4096) for n in range(40)}
        for name, content in contents.items():
            (path / name).write_bytes(content)
        with open(path / "locked.img", "r+b") as locked, socket.socket() as used:
            # an open-file-description lock would be ours too; a child's program has its own
            fcntl.lockf(locked, fcntl.LOCK_EX)
            used.bind(("127.0.0.1", 0))
            used.listen()
            yield {"dir": folder, "guest": guest, "disk": f"{folder}/disk.img",
                   "other": f"{folder}/other.img", "locked": f"{folder}/locked.img",
                   "port": str(used.getsockname()[1])}


def fill(text: str, words: dict[str, str], escape: bool = False) -> str:
    for key, value in words.items():
        text = text.replace("{" + key + "}", re.escape(value) if escape else value)
    return text


def judge(case: Case, stasis: str, words: dict[str, str]) -> Optional[str]:
    command = [stasis, *(fill(argument, words) for argument in case.arguments)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False,
                             stdin=subprocess.DEVNULL, env={**os.environ, "STASIS_LOG": "warn",
                                  "STASIS_ROOT": words["dir"] + "/root"})
    except subprocess.TimeoutExpired:
        return "still running after 20 s"
    if run.returncode != case.status:
        return f"exit code {run.returncode}, wanted {case.status}: {run.stderr.strip()}"
    if run.stdout:
        return f'on standard output: "{run.stdout}"'
    sentence = run.stderr
    if sentence.count("\n") != 1 or not sentence.startswith("stasis: ") or sentence.endswith(".\n"):
        return f'not one sentence: "{sentence}"'
    for word in case.words:
        if not re.search(fill(word, words, escape=True), sentence):
            return f'"{word}" is not in: {sentence.strip()}'
    if case.status == REFUSED and ";" not in sentence:
        return f"no remedy: {sentence.strip()}"
    return None


def has_kvm() -> bool:
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stasis", required=True)
    parser.add_argument("--guests", required=True)
    parser.add_argument("group", choices=GROUPS)
    arguments = parser.parse_args()
    if arguments.group == "files" and not has_kvm():
        print("no /dev/kvm that can be used here")
        return SKIPPED
    failures = 0
    with surroundings(f"{arguments.guests}/hello.elf") as words:
        for case in GROUPS[arguments.group]:
            wrong = judge(case, arguments.stasis, words)
            failures += wrong is not None
            print(f"{'FAIL' if wrong else 'ok'}  {case.name}{': ' + wrong if wrong else ''}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
