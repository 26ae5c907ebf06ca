# bash completion for stasis(1)

# File names that begin with $2, each with $1 in front.
_stasis_files() {
    local file
    while IFS= read -r file; do
        COMPREPLY+=("$1$file")
    done < <(compgen -f -- "$2")
    compopt -o filenames 2>/dev/null
}

# Words of $2 that begin with $1.
_stasis_words() {
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

# Value of one key=value list: $1 what is typed, $2 its first words, $3 its keys.
_stasis_list() {
    local typed=$1 head
    if [[ $typed != *,* ]]; then
        _stasis_words "$typed" "$2"
    else
        head=${typed%,*},
        _stasis_words "${typed##*,}" "$3"
        COMPREPLY=("${COMPREPLY[@]/#/$head}")
    fi
    compopt -o nospace 2>/dev/null
}

# Value $2 of option $1. Status 1: no option that has values.
_stasis_value() {
    case $1 in
        --kernel | --initrd) _stasis_files "" "$2" ;;
        --disk)
            if [[ $2 == *,* ]]; then
                _stasis_list "$2" "" "format=raw format=qcow2 backing= ro id="
            else
                _stasis_files "" "$2"
                compopt -o nospace 2>/dev/null
            fi
            ;;
        --net) _stasis_list "$2" "user none" "forward=tcp: forward=udp:" ;;
        --console)
            if [[ $2 == file=* && $2 != *,* ]]; then
                _stasis_files "file=" "${2#file=}"
            else
                _stasis_list "$2" "stdio none file=" "device=serial device=virtio"
            fi
            ;;
        --cpu) _stasis_words "$2" "host baseline" ;;
        --on-reboot) _stasis_words "$2" "restart exit" ;;
        --memory) _stasis_words "$2" "256M 512M 1G 2G 4G" ;;
        --cpus) _stasis_words "$2" "1 2 4 8" ;;
        --from) _stasis_snapshots "${words[2]}" "$2" ;;
        --clock) _stasis_words "$2" "catch-up freeze" ;;
        --timeout) _stasis_words "$2" "30s 60s 5m" ;;
        --type) _stasis_words "$2" "full disk" ;;
        --engine) _stasis_words "$2" "auto fork stop-and-copy" ;;
        --cmdline | --name | --notes) ;;
        *) return 1 ;;
    esac
    return 0
}

# Names of machines that begin with $1.
_stasis_machines() {
    local root=${STASIS_ROOT:-${XDG_STATE_HOME:-$HOME/.local/state}/stasis}
    [[ -z $STASIS_ROOT && $EUID == 0 ]] && root=/var/lib/stasis
    local folder
    for folder in "$root"/vms/*/; do
        folder=${folder%/}
        [[ -d $folder && ${folder##*/} == "$1"* ]] && COMPREPLY+=("${folder##*/}")
    done
}

# Names of snapshots of machine $1 that begin with $2, quoted.
_stasis_snapshots() {
    local name
    while IFS= read -r name; do
        [[ $name == "$2"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
    done < <("${words[0]}" snapshot list "$1" --json 2>/dev/null |
        sed -n 's/^      "name": "\(.*\)",$/\1/p')
}

# Options of verb $1.
_stasis_options() {
    case $1 in
        run)
            echo "--kernel --initrd --cmdline --cpus --memory --cpu --disk --net --console --on-reboot
                --name --detach --json --help"
            ;;
        start) echo "--from --clock --same-generation --attach --json --help" ;;
        stop) echo "--timeout --force --json --help" ;;
        kill | pause | resume | info | doctor) echo "--json --help" ;;
        rm) echo "--force --json --help" ;;
        ps) echo "--all --json --help" ;;
        console) echo "--help" ;;
        logs) echo "--follow --json --help" ;;
        create) echo "--type --engine --compress --notes --json --help" ;;
        list | delete) echo "--tree --json --help" ;;
        apply) echo "--clock --same-generation --json --help" ;;
        rename) echo "--notes --json --help" ;;
        show | verify | selftest) echo "--json --help" ;;
    esac
}

# Word $2 of verb $1, the $3-th after it, when it is no option.
_stasis_argument() {
    case $1/$3 in
        run/* | doctor/* | ps/*) ;;
        */1) _stasis_machines "$2" ;;
        show/2 | apply/2 | delete/2 | rename/2 | verify/2) _stasis_snapshots "$prev" "$2" ;;
    esac
}

_stasis() {
    local cur prev words cword
    # "=" and ":" are parts of our values, not ends of words.
    _get_comp_words_by_ref -n =: cur prev words cword 2>/dev/null || return
    COMPREPLY=()
    local verb=${words[1]} place=$((cword - 1))
    if [[ $verb == snapshot ]]; then
        verb=${words[2]}
        place=$((cword - 2))
    fi
    if ((cword == 1)); then
        _stasis_words "$cur" "run start stop kill pause resume rm ps info console logs snapshot doctor
            --help --version"
    elif ((place == 0)); then
        _stasis_words "$cur" "create list show apply delete rename verify selftest"
    elif [[ $cur == --*=* ]]; then
        _stasis_value "${cur%%=*}" "${cur#*=}"
    elif ! _stasis_value "$prev" "$cur"; then
        if [[ $cur == -* || $verb == run || $verb == doctor ]]; then
            _stasis_words "$cur" "$(_stasis_options "$verb")"
        else
            _stasis_argument "$verb" "$cur" "$place"
        fi
    fi
    __ltrim_colon_completions "$cur" 2>/dev/null
    # What readline replaces begins after the last "=".
    if [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]]; then
        local typed=${cur%"${cur##*=}"}
        COMPREPLY=("${COMPREPLY[@]#"$typed"}")
    fi
}

complete -F _stasis stasis
