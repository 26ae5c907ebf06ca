#!/usr/bin/env python3
"""Compiles an ASL file in which "@expression@" stands for a number made of the integer constants of
C++ headers, so that addresses are written down once. Output: the AML bytes as a list for a C++
array initializer.

usage: compile_dsdt.py IASL FILE.asl OUTPUT HEADER...
"""
import pathlib
import re
import subprocess
import sys
import tempfile

CONSTANT = re.compile(r"constexpr\s+[\w:]+\s+(k\w+)\s*=\s*([0-9][0-9a-fA-FxX']*)\s*;")


def constants_of(headers):
    found = {}
    for header in headers:
        for name, value in CONSTANT.findall(pathlib.Path(header).read_text()):
            number = int(value.replace("'", ""), 0)
            if found.setdefault(name, number) != number:
                sys.exit(f"{header}: {name} has another value elsewhere")
    return found


def compile_asl(iasl, text):
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "dsdt.asl").write_text(text)
        # -we: warnings are errors; -vr: no remarks
        command = [iasl, "-we", "-vr", "-vs", "-p", f"{folder}/dsdt", f"{folder}/dsdt.asl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return pathlib.Path(folder, "dsdt.aml").read_bytes()


def main(iasl, source, output, *headers):
    constants = constants_of(headers)
    text = re.sub(r"@([^@\n]+)@",
                  lambda match: f"{eval(match[1], {'__builtins__': {}}, constants):#x}",
                  pathlib.Path(source).read_text())
    aml = compile_asl(iasl, text)
    lines = [", ".join(f"{byte:#04x}" for byte in aml[i:i + 16]) for i in range(0, len(aml), 16)]
    pathlib.Path(output).write_text(",\n".join(lines) + "\n")


main(*sys.argv[1:])
