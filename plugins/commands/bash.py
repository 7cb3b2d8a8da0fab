"""Completion in bash: verbs and their own keys by word lists, the configuration's keys and choices by Hydra."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from sightsmith.core.contracts.records import CommandRecord
from sightsmith.plugins.commands.settings import declared

LINE = "COMP_LINE"
"""Bash's name for the line so far."""
QUERY = "query=bash"
"""By which Hydra knows its own completion."""

WITH_OVERRIDES = ("train", "inspect")
CHOOSING = ("task=", "preset=", "base_run=")
"""What a line needs to be composed."""

SCRIPT = """\
_sightsmith() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{verbs}" -- "$word"))
        return
    fi
    case "${{COMP_WORDS[1]}}" in
        {with_overrides}) COMPREPLY=($(compgen -W "$({line}="$COMP_LINE" sightsmith train -sc {query} 2>/dev/null)" \
-- "$word")) ;;
{cases}
    esac
}}
COMP_WORDBREAKS=${{COMP_WORDBREAKS//=}}
complete -o nospace -o default -F _sightsmith sightsmith
"""
CASE = '        {verb}) COMPREPLY=($(compgen -W {words} -- "$word")) ;;'


def bash_script(commands: Mapping[str, CommandRecord]) -> str:
    """To be evaluated in bash: ``eval "$(sightsmith completion)"``."""
    cases = [CASE.format(verb=name, words=shlex.quote(" ".join(words))) for name, record in commands.items()
             if name not in WITH_OVERRIDES and (words := _words(record))]
    return SCRIPT.format(verbs=" ".join(commands), with_overrides="|".join(WITH_OVERRIDES), line=LINE, query=QUERY,
                         cases="\n".join(cases))


def _words(record: CommandRecord) -> list[str]:
    """What may be typed after the verb: its keys with ``=``, its flags, and the choices of its words."""
    settings = record.build_settings()
    words: list[str] = []
    for item in declared(settings) if settings else ():
        words += item.choices if item.kind == "word" else [f"{item.name}=" if item.kind == "key" else item.name]
    return words


def prepare_query(task: str) -> None:
    """Make of the line so far what Hydra completes: without the verb, and, where none is chosen yet, with ``task``,
    because nothing can be composed without one."""
    program, _, rest = os.environ.get(LINE, "").partition(" ")
    verb, _, overrides = rest.partition(" ")
    if verb not in WITH_OVERRIDES:
        overrides = rest
    *whole, _ = overrides.split(" ")
    chosen = any(word.startswith(CHOOSING) for word in whole)
    os.environ[LINE] = f"{program} {'' if chosen else f'task={task} '}{overrides}"
