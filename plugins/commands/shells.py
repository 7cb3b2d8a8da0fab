"""The scripts by which shells ask ``sightsmith --complete`` for words."""

from __future__ import annotations

BASH = r"""_sightsmith() {
    local offer quoted words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()
    while IFS= read -r offer; do
        printf -v quoted %q "$offer"
        case "$offer" in *[=./]) ;; *) quoted="$quoted " ;; esac
        COMPREPLY+=("$quoted")
    done < <("${COMP_WORDS[0]}" --complete "${words[@]//\\/}" 2>/dev/null)
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -F _sightsmith sightsmith
"""
ZSH = r"""#compdef sightsmith
_sightsmith() {
    local -a offers unfinished
    offers=("${(@f)$("${words[1]}" --complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    offers=("${(@)offers:#}")
    unfinished=("${(@M)offers:#*[=./]}")
    compadd -S '' -- "${(@)unfinished}"
    compadd -- "${(@)offers:#*[=./]}"
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _sightsmith sightsmith
"""
FISH = r"""function __sightsmith_offers
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    $words[1] --complete $words[2..-1] "$word" 2>/dev/null
end
complete -c sightsmith -f -a '(__sightsmith_offers)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
