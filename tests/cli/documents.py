#!/usr/bin/env python3
"""Checks that every verb, option and exit code of the program is in its documents.

    documents.py STASIS ROOT

Also: the man page is free of warnings, and the zsh completion parses (where zsh is there).
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def section(text: str, title: str) -> str:
    return re.search(rf"^{title}:\n((?:.+\n)+)", text, re.M).group(1)


def main() -> int:
    stasis, root = sys.argv[1], Path(sys.argv[2])
    man_source = root / "docs/man/stasis.1"
    man = man_source.read_text().replace("\\-", "-").replace("\\~", " ")
    completions = {name: (root / "completions" / name).read_text()
                   for name in ("stasis.bash", "_stasis")}
    readme = (root / "README.md").read_text()
    wrong = []

    program = output(stasis, "--help")
    verbs = re.findall(r"^  ([a-z]+(?: [a-z]+)?) ", section(program, "Verbs"), re.M)
    options = set(re.findall(r"^  (--[a-z-]+)", program, re.M))
    for verb in verbs:
        options |= set(re.findall(r"^  (--[a-z-]+)", output(stasis, *verb.split(), "--help"), re.M))
        if "Examples:" not in output(stasis, *verb.split(), "--help"):
            wrong.append(f"{verb} --help has no examples")
    for word in [*verbs, *sorted(options)]:
        if not re.search(rf"^\.B[IR]* {word}( |,|$)", man, re.M):
            wrong.append(f"{word} is not in the man page")
        for name, text in completions.items():
            if not re.search(rf"{word.split()[-1]}\b", text):
                wrong.append(f"{word} is not in completions/{name}")
    codes = re.findall(r"^ +(\d+)  ", section(program, "Exit codes"), re.M)
    if len(codes) < 10:
        wrong.append(f"only {len(codes)} exit codes in --help")
    for code in codes:
        if f"\n.TP\n.B {code}\n" not in man:
            wrong.append(f"exit code {code} is not in the man page")
        if not re.search(rf"^\| {code} \|", readme, re.M):
            wrong.append(f"exit code {code} is not in README.md")

    if shutil.which("man"):
        run = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", man_source],
                             capture_output=True, text=True, check=False)
        if run.stderr or run.returncode:
            wrong.append(f"man page: {run.stderr.strip()}")
    if shutil.which("zsh"):
        run = subprocess.run(["zsh", "-n", root / "completions/_stasis"], capture_output=True,
                             text=True, check=False)
        if run.stderr or run.returncode:
            wrong.append(f"zsh completion: {run.stderr.strip()}")

    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
