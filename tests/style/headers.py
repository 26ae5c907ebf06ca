#!/usr/bin/env python3
"""Compiles alone each header that no source of the same name proves complete (check own-header).
What passed once with the same contents is not compiled again: the cache is in the build folder.

    headers.py CACHE_FILE COMPILER FLAGS...
"""

import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys

import project


def digest(path, seen):
    """Hash of a header and of all project headers it reaches."""
    if path in seen or not os.path.exists(os.path.join(project.ROOT, path)):
        return b""
    seen.add(path)
    text = project.read(path)
    parts = [text.encode()]
    parts += [digest(name, seen) for name in re.findall(r'#\s*include\s*"([^"]+)"', text)]
    return hashlib.sha256(b"\0".join(parts)).digest()


def compile_alone(command, path):
    run = subprocess.run([*command, "-fsyntax-only", "-x", "c++", "-"], cwd=project.ROOT, text=True,
                         input=f'#include "{path}"\n', stderr=subprocess.PIPE, check=False)
    return run.stderr if run.returncode else ""


def self_test(command):
    run = subprocess.run([*command, "-fsyntax-only", "-x", "c++", "-"], cwd=project.ROOT, text=True,
                         input="inline std::string f() { return {}; }\n", stderr=subprocess.DEVNULL, check=False)
    return run.returncode != 0


def main():
    cache_file, command = sys.argv[1], sys.argv[2:]
    if not self_test(command):
        print("self-test: an incomplete header compiles")
        return 1
    known = set(open(cache_file, encoding="ascii").read().split()) if os.path.exists(cache_file) else set()
    keys = {}
    for path in project.files(project.LAYERS + ["tests"], (".h",)):
        if os.path.exists(os.path.join(project.ROOT, path[:-2] + ".cpp")) or path.startswith("tests/guests/"):
            continue
        keys[path] = hashlib.sha256(digest(path, set()) + repr(command).encode()).hexdigest()
    todo = [path for path, key in keys.items() if key not in known]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, errors in zip(todo, pool.map(lambda path: compile_alone(command, path), todo)):
            if errors:
                failed += 1
                print(f"{path}: does not compile alone:\n{errors}")
                del keys[path]
    with open(cache_file, "w", encoding="ascii") as file:
        file.write("\n".join(keys.values()))
    print(f"{len(keys)} headers compile alone, {len(todo)} tried now")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
