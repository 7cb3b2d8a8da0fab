"""Completion in bash: the verbs by a word list, the keys and choices of ``train`` and ``inspect`` by Hydra."""

from __future__ import annotations

import os
from collections.abc import Iterable

LINE = "COMP_LINE"
"""Bash's name for what is typed so far."""

WITH_OVERRIDES = ("train", "inspect")
CHOOSING = ("task=", "preset=", "base_run=")
"""What a line needs to be composed."""

SCRIPT = """\
_sightsmith() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{verbs}" -- "$word"))
    elif [[ " {with_overrides} " == *" ${{COMP_WORDS[1]}} "* ]]; then
        COMPREPLY=($(compgen -W "$({line}="$COMP_LINE" sightsmith train -sc query=bash 2>/dev/null)" -- "$word"))
    fi
}}
COMP_WORDBREAKS=${{COMP_WORDBREAKS//=}}
complete -o nospace -o default -F _sightsmith sightsmith
"""


def bash_script(verbs: Iterable[str]) -> str:
    """To be evaluated in bash: ``eval "$(sightsmith completion)"``."""
    return SCRIPT.format(verbs=" ".join(verbs), with_overrides=" ".join(WITH_OVERRIDES), line=LINE)


def prepare_query(task: str) -> None:
    """Make of what is typed so far what Hydra completes: without the verb, and, where none is typed yet, with ``task``,
    because nothing can be composed without one."""
    program, _, rest = os.environ.get(LINE, "").partition(" ")
    verb, _, overrides = rest.partition(" ")
    if verb not in WITH_OVERRIDES:
        overrides = rest
    *whole, _ = overrides.split(" ")
    chosen = any(word.startswith(CHOOSING) for word in whole)
    os.environ[LINE] = f"{program} {'' if chosen else f'task={task} '}{overrides}"
