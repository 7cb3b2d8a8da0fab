"""``sightsmith completion``: bash completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightsmith.plugins.commands.settings import parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Completion:
    """Print the bash completion script for commands, keys and choices. Evaluate it in ~/.bashrc:
    eval "$(sightsmith completion)"."""


def completion_command(arguments: list[str], plugins: Plugins) -> int:
    parse(Completion, arguments, plugins.commands["completion"])

    from sightsmith.plugins.commands.bash import bash_script

    print(bash_script(plugins.commands), end="")
    return 0
