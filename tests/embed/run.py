#!/usr/bin/python3
"""Install the library into a folder, build examples/embed.cpp against it as its users would, run it.

    tests/embed/run.py --build FOLDER --guest KERNEL
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, text=True, **options)


def build_example(build, folder):
    """The example program, built with what pkg-config says of an installed library."""
    root = folder / "root"
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root, stdout=subprocess.DEVNULL)
    packages = next(root.rglob("stasis.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(packages)}
    # DESTDIR moves the files, not the paths in them.
    prefix = root / packages.relative_to(root).parts[0] / packages.relative_to(root).parts[1]
    flags = run("pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs", "--static",
                "stasis", env=environment, stdout=subprocess.PIPE).stdout
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    run(*compiler, "-std=c++20", REPO / "examples/embed.cpp", *shlex.split(flags), "-o", folder / "embed")
    return folder / "embed"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, metavar="FOLDER")
    parser.add_argument("--guest", required=True, metavar="KERNEL")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build_example(arguments.build, Path(folder))
        said = run(program, arguments.guest, " ", stdout=subprocess.PIPE, timeout=60).stdout
    sys.stdout.write(said)
    if "fork, paused for" not in said or "three runs from the snapshot" not in said:
        sys.exit("tests/embed: the example did not say what it should")


if __name__ == "__main__":
    main()
