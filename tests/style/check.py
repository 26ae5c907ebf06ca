#!/usr/bin/env python3
"""Style checks that need no compiler. `check.py NAME` checks the whole tree; each check first proves
itself on a good and on bad samples, so that one which finds nothing any more does not go unnoticed.

    include-arrows   includes point down the layers only; KVM is known to vmm alone
    own-header       a source includes its own header first, so that each build proves it complete
    sizes            headers <= 250 lines, sources <= 500, functions <= 60
    traps            constructs that compile and are wrong
    words            no path or host of somebody's machine, no open end without its issue's number
"""

import argparse
import os
import re
import sys

import project

MAX_HEADER, MAX_SOURCE, MAX_FUNCTION = 250, 500, 60

QUOTED_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
KVM_INCLUDE = re.compile(r"^\s*#\s*include\s*<(?:linux|asm)/kvm\w*\.h>", re.M)


def include_arrows(path, text):
    folder = path.split("/")[0]
    for target in QUOTED_INCLUDE.findall(text):
        layer = target.split("/")[0]
        if layer not in project.FOLDERS:
            yield f'includes "{target}": name it from the top folder, as in "base/fd.h"'
        elif folder in project.LAYERS and layer not in project.LAYERS[:project.LAYERS.index(folder) + 1]:
            yield f'includes "{target}": {folder} may not know {layer}'
    if folder in project.LAYERS and folder != "vmm" and KVM_INCLUDE.search(text):
        yield f"includes a KVM header: {folder} may not know KVM, only vmm does"


def own_header(path, text):
    header = os.path.splitext(path)[0] + ".h"
    if not path.endswith(".cpp") or not os.path.exists(os.path.join(project.ROOT, header)):
        return
    first = re.search(r'^\s*#\s*include\s*[<"]([^>"]+)', text, re.M)
    if not first or first.group(1) != header:
        yield f'must include "{header}" first'


def sizes(path, text):
    lines = text.splitlines()
    is_interface = path.endswith(".h") and not path.startswith("tests/")
    limit = MAX_HEADER if is_interface else MAX_SOURCE
    if len(lines) > limit:
        yield f"{len(lines)} lines, limit {limit}"
    yield from long_functions(lines)


def long_functions(lines):
    """The code is laid out by clang-format: a block's '}' stands under the first character of what
    opened it, and nothing between the two stands as far left."""
    for end, line in enumerate(lines):
        if not (closing := re.match(r"( *)\}", line)):
            continue
        indent = len(closing.group(1))
        start = end - 1
        while start >= 0 and (not lines[start].strip() or lines[start].startswith("#")
                              or len(lines[start]) - len(lines[start].lstrip()) > indent):
            start -= 1
        # a TEST_CASE is a table of sections, each as short as a function
        is_function = re.match(r" *(?!TEST_CASE|namespace|extern|class|struct|enum|union|\})[^=]*\(", lines[start])
        if is_function and end - start + 1 > MAX_FUNCTION:
            yield f"line {start + 1}: function of {end - start + 1} lines, limit {MAX_FUNCTION}"


def traps(_path, text):
    """What compiles, looks right and is wrong."""
    if re.search(r"\bnew [\w:]+\([^;]*\bTRY\(", text):
        yield "TRY inside new: its early return leaks what new has allocated; take the value before"


# Hosts that a reader can be sent to: specifications, kernel and project pages, reserved names.
HOSTS = re.compile(r"^(?:[\w.-]+\.)?(?:kernel\.org|oasis-open\.org|uefi\.org|pcisig\.com|intel\.com|amd\.com|"
                   r"dmtf\.org|github\.com|ietf\.org|rfc-editor\.org|debian\.org|microsoft\.com|qemu\.org|"
                   r"keepachangelog\.com|semver\.org|xenbits\.xen\.org|llvm\.org|apache\.org|example\.(?:com|org|net)|w3\.org|"
                   r"localhost|127\.0\.0\.1|10\.0\.2\.\d+)$")
PERSONAL_PATH = re.compile(r"""(?:^|[\s"'`(=:])(/(?:home/(?!a\b|user\b)|root/|work/|workspace/|Users/)\w[\w./-]*)""", re.M)
URL = re.compile(r"\bhttps?://(?:[^/\s@\"'<>]*@)?([\w.-]+)")


def words(_path, text):
    for found in PERSONAL_PATH.findall(text):
        yield f"names a path of one machine: {found}"
    for host in URL.findall(text):
        if "." in host and not HOSTS.match(host):
            yield f"names the host {host}: not among those in tests/style/check.py"
    for line in re.findall(r".*\b(?:TO[D]O|FIX[M]E|XX[X])\b(?!\(#\d+\)).*", text):
        yield f"an open end without an issue, write TO" f"DO(#12): {line.strip()}"


WORD_ENDINGS = (".h", ".cpp", ".py", ".S", ".md", ".sh", ".build", ".txt", ".asl")

# name: (check, folders, endings, samples that must be refused, samples that must pass)
CHECKS = {
    "include-arrows": (
        include_arrows, project.FOLDERS, project.CODE,
        [("base/a.h", '#include "devices/b.h"\n'), ("devices/pci/a.h", '#  include "vmm/b.h"'),
         ("vmm/a.cpp", '#include "b.h"\n'), ("devices/a.cpp", "#include <linux/kvm.h>\n"),
         ("cimapi/a.h", '#include "cli/b.h"\n'), ("devices/a.h", '#include "tests/b.h"\n')],
        [("vmm/a.h", '#include "vmm/b.h"\n#include "base/c.h"\n#include <linux/kvm.h>\n'),
         ("tests/a.cpp", '#include "cli/b.h"\n'), ("cli/a.cpp", '#include "base/b.h"\n')]),
    "own-header": (
        own_header, project.LAYERS, (".cpp",),
        [("base/fd.cpp", '#include <fcntl.h>\n\n#include "base/fd.h"\n'), ("base/fd.cpp", "")],
        [("base/fd.cpp", '// why\n#include "base/fd.h"\n\n#include <fcntl.h>\n'), ("cli/none.cpp", "")]),
    "sizes": (
        sizes, project.FOLDERS, project.CODE,
        [("base/a.h", "\n" * 251), ("base/a.cpp", "\n" * 501),
         ("base/a.cpp", "int f(int a) {\n" + "  g();\n" * 59 + "}\n"),
         ("base/a.h", "struct A {\n  int f() const {\n" + "    g();\n" * 59 + "  }\n};\n"),
         ("base/a.cpp", "A::A(int a)\n    : a_(a) {\n" + "  g();\n" * 60 + "}\n")],
        [("base/a.h", "\n" * 250),
         ("base/a.h", "class A {\n  int f(int a);\n" + "  int b;\n" * 80 + "};\n"),
         ("base/a.cpp", "namespace a {\nint f(int a) {\n" + "  g();\n" * 58 + "}\n\n" + "int b;\n" * 70 + "}\n")]),
    "traps": (
        traps, project.FOLDERS, project.CODE,
        [("base/a.cpp", "return std::unique_ptr<A>(new A(\n    x, TRY(b())));")],
        [("base/a.cpp", "auto x = TRY(b());\nreturn std::unique_ptr<A>(new A(x));")]),
    "words": (
        words, project.FOLDERS + ["docs", "scripts", "."], WORD_ENDINGS,
        [("a.md", "see /home/" + "me/notes"), ("a.py", 'x = "/root' + '/thing"'),
         ("a.md", "https:" + "//proxy.internal.net/x"), ("a.cpp", "// TO" + "DO: later")],
        [("a.md", "https://docs.kernel.org/virt/kvm/api.html"), ("a.py", "http://127.0.0.1:8000/"),
         ("a.cpp", "// TO" + "DO(#7): later"), ("a.md", "boot from /dev/vda, mounted at /root")]),
}


def self_test(check, bad, good):
    for path, text in bad:
        if not list(check(path, text)):
            yield f"self-test: nothing wrong found in the bad sample {path}: {text[:60]!r}"
    for path, text in good:
        for problem in check(path, text):
            yield f"self-test: good sample {path}: {text[:60]!r}: {problem}"


def tree_files(folders, endings):
    top = [name for name in os.listdir(project.ROOT) if name.endswith(endings)] if "." in folders else []
    return sorted(top) + project.files([folder for folder in folders if folder != "."], endings)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=CHECKS)
    check, folders, endings, bad, good = CHECKS[parser.parse_args().name]
    problems = list(self_test(check, bad, good))
    paths = tree_files(folders, endings)
    for path in paths:
        problems += [f"{path}: {problem}" for problem in check(path, project.read(path))]
    print("\n".join(problems) or f"{len(paths)} files are fine")
    return 1 if problems or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
