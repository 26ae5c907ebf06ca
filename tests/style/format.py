#!/usr/bin/env python3
"""Is every source laid out as .clang-format says? `format.py --fix` does it.  Exit 77: no clang-format."""

import os
import shutil
import subprocess
import sys

import project

SKIPPED = 77


def main():
    tool = shutil.which("clang-format")
    if not tool:
        print("skipped: clang-format is not installed; scripts/setup installs it")
        return SKIPPED
    paths = [path for path in project.files(project.FOLDERS, project.CODE) if not path.startswith("tests/guests/")]
    if "--fix" in sys.argv[1:]:
        return subprocess.call([tool, "-i", *paths], cwd=project.ROOT)
    bad_sample = subprocess.run([tool, "--dry-run", "-Werror", "--assume-filename=base/a.cpp"], input=b"int  a ;\n",
                                cwd=project.ROOT, stderr=subprocess.DEVNULL, check=False)
    if bad_sample.returncode == 0:
        print("self-test: a badly laid out sample passes")
        return 1
    status = subprocess.call([tool, "--dry-run", "-Werror", *paths], cwd=project.ROOT)
    print(f"{len(paths)} files are fine" if status == 0 else f"to fix: {os.path.relpath(__file__, project.ROOT)} --fix")
    return status


if __name__ == "__main__":
    sys.exit(main())
