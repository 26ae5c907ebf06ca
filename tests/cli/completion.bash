#!/bin/bash
# Drives completions/stasis.bash as readline would.
# Usage: tests/cli/completion.bash STASIS
# Exit status: 0 passed, 1 failed, 77 skipped (no bash-completion here).
set -u

stasis=$(realpath "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
helpers=/usr/share/bash-completion/bash_completion
[[ -r $helpers ]] || exit 77
# shellcheck disable=SC1090  # a file of the host
source "$helpers"
# shellcheck disable=SC1091
source "$root/completions/stasis.bash"

failures=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
touch "$folder/vmlinuz" "$folder/root.img"
cd "$folder" || exit 1

# complete_line LINE: the offers at the end of LINE, sorted, in one line.
complete_line() {
    COMP_LINE=$1
    COMP_POINT=${#COMP_LINE}
    # readline's words: "=" and ":" stand for themselves
    mapfile -t COMP_WORDS < <(grep -oE '[^ =:]+|[=:]+' <<<"$COMP_LINE")
    [[ $COMP_LINE == *" " || $COMP_LINE == *[=:] ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _stasis
    printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd' '
}

expect() {
    local got
    got=$(complete_line "$1")
    [[ $got == "$2" ]] && return
    printf 'completing "%s": "%s", wanted "%s"\n' "$1" "$got" "$2" >&2
    failures=$((failures + 1))
}

expect "stasis " "--help --version console doctor info kill logs pause ps resume rm run snapshot start stop"
expect "stasis r" "resume rm run"
expect "stasis doctor --" "--help --json"
expect "stasis run --k" "--kernel"
expect "stasis run --kernel v" "vmlinuz"
expect "stasis run --disk r" "root.img"
expect "stasis run --disk root.img," "root.img,backing= root.img,format=qcow2 root.img,format=raw root.img,id= root.img,ro"
expect "stasis run --disk root.img,r" "root.img,ro"
expect "stasis run --cpu b" "baseline"
expect "stasis run --on-reboot " "exit restart"
expect "stasis run --net " "none user"
expect "stasis run --net user,f" "user,forward=tcp: user,forward=udp:"
expect "stasis run --console s" "stdio"
expect "stasis run --console stdio," "stdio,device=serial stdio,device=virtio"
expect "stasis run --console file=v" "vmlinuz"
expect "stasis run --kernel=v" "vmlinuz"
expect "stasis run --cmdline x" ""

# Every option and verb of the program is offered.
export STASIS_ROOT=$folder/root
mkdir -p "$STASIS_ROOT"/vms/{web1,web2,db,.new-1}
expect "stasis start " "db web1 web2"
expect "stasis kill w" "web1 web2"
expect "stasis snapshot " "apply create delete list rename selftest show verify"
expect "stasis snapshot create w" "web1 web2"
expect "stasis snapshot create web1 --engine s" "stop-and-copy"
expect "stasis start web1 --clock f" "freeze"
expect "stasis ps w" ""

options_of() { "$stasis" "$@" --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | sort | paste -sd' '; }
expect "stasis run --" "$(options_of run)"
for verb in start stop kill pause resume rm ps info console logs doctor; do
    expect "stasis $verb --" "$(options_of "$verb")"
done
for verb in create list show apply delete rename verify selftest; do
    expect "stasis snapshot $verb --" "$(options_of snapshot "$verb")"
done
expect "stasis --" "$(options_of)"

exit $((failures != 0))
