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
        --cmdline | --name) ;;
        *) return 1 ;;
    esac
    return 0
}

_stasis() {
    local cur prev words cword
    # "=" and ":" are parts of our values, not ends of words.
    _get_comp_words_by_ref -n =: cur prev words cword 2>/dev/null || return
    COMPREPLY=()
    if ((cword == 1)); then
        _stasis_words "$cur" "run doctor --help --version"
    elif [[ ${words[1]} == run ]]; then
        if [[ $cur == --*=* ]]; then
            _stasis_value "${cur%%=*}" "${cur#*=}"
        else
            _stasis_value "$prev" "$cur" ||
                _stasis_words "$cur" "--kernel --initrd --cmdline --cpus --memory --cpu --disk --net
                    --console --on-reboot --name --help"
        fi
    elif [[ ${words[1]} == doctor ]]; then
        _stasis_words "$cur" "--json --help"
    fi
    __ltrim_colon_completions "$cur" 2>/dev/null
    # What readline replaces begins after the last "=".
    if [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]]; then
        local typed=${cur%"${cur##*=}"}
        COMPREPLY=("${COMPREPLY[@]#"$typed"}")
    fi
}

complete -F _stasis stasis
