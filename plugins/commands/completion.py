"""``sightsmith completion``: the completion script of a shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightsmith.plugins.commands.settings import parse, word
from sightsmith.plugins.commands.shells import SCRIPTS

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Completion:
    """Print the script that completes commands, keys and values in a shell. In ~/.bashrc: eval "$(sightsmith completion
    bash)"; in ~/.zshrc: eval "$(sightsmith completion zsh)"; in ~/.config/fish/config.fish: sightsmith completion fish
    | source."""

    shell: str = word("the shell", "bash", choices=tuple(SCRIPTS))


def completion_command(arguments: list[str], plugins: Plugins) -> int:
    print(SCRIPTS[parse(Completion, arguments, plugins.commands["completion"]).shell], end="")
    return 0
