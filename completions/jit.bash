# bash completion for jit; made by: jit completions bash
_jit() {
    local reply
    COMPREPLY=()
    while IFS= read -r reply; do
        COMPREPLY+=("$reply")
    done < <(jit complete bash -- "$2" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o nospace -o nosort -F _jit jit 2>/dev/null || complete -o nospace -F _jit jit
