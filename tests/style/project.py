"""Which files the style checks read."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# An include may only point from a folder to itself or to one before it.
LAYERS = ["base", "devices", "vmm", "snapshot", "cimapi", "cli"]

FOLDERS = LAYERS + ["tests", "bench"]
CODE = (".h", ".cpp")


def files(folders, endings=None):
    """Paths below the root, sorted, of all files in `folders` that have one of `endings`."""
    found = []
    for folder in folders:
        for path, names, entries in os.walk(os.path.join(ROOT, folder)):
            names[:] = [name for name in names if name not in ("corpus", "__pycache__", "build")]
            found += [os.path.join(path, entry) for entry in entries
                      if endings is None or entry.endswith(endings)]
    return sorted(os.path.relpath(path, ROOT) for path in found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()
