"""``sightsmith --help``: the commands of all plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sightsmith.kept import kept

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

HEAD = "sightsmith trains computer-vision models on your own images.\n\n"
TAIL = """
For details: `sightsmith COMMAND --help`. `sightsmith train --help` shows all keys.
Exit codes: 0 success, 1 failed, 2 invalid input or configuration, 130 stopped (the run can be resumed).
"""


def usage() -> str:
    """The help text."""
    return str(kept("help.json", lambda plugins: HEAD + "".join(_lines(plugins)) + TAIL))


def _lines(plugins: Plugins) -> list[str]:
    rows = [(f"{record.name:10} {record.usage}".rstrip(), record.description) for record in plugins.commands.values()]
    width = max((len(command) for command, _ in rows), default=0)
    return [f"  sightsmith {command:{width}}  {description}\n" for command, description in rows]
