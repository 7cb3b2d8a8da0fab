"""Bash completion: word lists for commands and their keys; Hydra completes the configuration."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from sightsmith.core.contracts.records import CommandRecord
from sightsmith.plugins.commands.settings import declared

LINE = "COMP_LINE"
"""Bash's variable with the current line."""
QUERY = "query=bash"
"""Marks a completion query for Hydra."""

WITH_OVERRIDES = ("train", "inspect")
CHOOSING = ("task=", "preset=", "base_run=")
"""Overrides that make a line composable."""

SCRIPT = """\
_sightsmith() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
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
CASE = '        {command}) COMPREPLY=($(compgen -W {words} -- "$word")) ;;'


def bash_script(commands: Mapping[str, CommandRecord]) -> str:
    """The script for ``eval "$(sightsmith completion)"``."""
    cases = [CASE.format(command=name, words=shlex.quote(" ".join(words))) for name, record in commands.items()
             if name not in WITH_OVERRIDES and (words := _words(record))]
    return SCRIPT.format(commands=" ".join(commands), with_overrides="|".join(WITH_OVERRIDES), line=LINE, query=QUERY,
                         cases="\n".join(cases))


def _words(record: CommandRecord) -> list[str]:
    """Completions for a command: its keys with ``=``, its flags, and the choices of its positional arguments."""
    settings = record.build_settings()
    words: list[str] = []
    for item in declared(settings) if settings else ():
        words += item.choices if item.kind == "word" else [f"{item.name}=" if item.kind == "key" else item.name]
    return words


def prepare_query(task: str) -> None:
    """Adapt the current line for Hydra's completion: remove the command, and add ``task`` if the line chooses none,
    because Hydra cannot compose without a task."""
    program, _, rest = os.environ.get(LINE, "").partition(" ")
    command, _, overrides = rest.partition(" ")
    if command not in WITH_OVERRIDES:
        overrides = rest
    *whole, _ = overrides.split(" ")
    chosen = any(word.startswith(CHOOSING) for word in whole)
    os.environ[LINE] = f"{program} {'' if chosen else f'task={task} '}{overrides}"
