# shellcheck shell=bash
# Shared by the scripts of this folder: `source` it, do not run it.
# Rule for all of them: messages go to stderr, results (paths) to stdout.

set -euo pipefail

# Where file system tools live; not in every user's PATH on Debian.
PATH=$PATH:/usr/sbin:/sbin

repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build_dir=${STASIS_BUILD:-$repo_root/build}
# Guest kernels and disks take minutes to make; point this at a folder outside
# the checkout to share them between several checkouts.
# shellcheck disable=SC2034  # used by the scripts that source this file
guests_dir=${STASIS_GUESTS:-$build_dir/guests}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# usage STATUS: print the caller's header comment (the lines after the shebang).
usage() {
  sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$0" >&2
  exit "$1"
}

need_command() {
  command -v "$1" >/dev/null || die "$1: not found; install it with: scripts/setup"
}

# as_root COMMAND...: run it with the rights that apt needs.
as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "root is needed for: $*; run it as root, or install sudo"
  fi
}

# lock FILE: hold FILE until this script ends, so that two runs that want the
# same cached thing do the work once. Children must not inherit descriptor 9
# when they outlive the script.
lock() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock 9
}

# scratch_dir PARENT: make a private folder there that goes away with the script;
# its path is put in the variable `scratch`. It lies beside the final place so
# that publishing is one rename.
scratch_dir() {
  mkdir -p "$1"
  scratch=$(mktemp -d "$1/.new.XXXXXX")
  # Signals must reach the EXIT trap, too: plain bash dies of them without it.
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}
