"""``sightsmith --help``: the commands of all plugins, cached because loading the plugins is slow."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sightsmith

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

HEAD = "sightsmith trains computer-vision models on your own images.\n\n"
TAIL = """
For details: `sightsmith COMMAND --help`. `sightsmith train --help` shows all keys.
Exit codes: 0 success, 1 failed, 2 invalid input or configuration, 130 stopped (the run can be resumed).
"""
FILE = "help.json"


def usage() -> str:
    """The help text, from the cache if nothing that it depends on has changed."""
    from sightsmith.core.util.files import cache_dir

    path = cache_dir() / FILE
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(path.read_text())
        if kept["made_from"] == _made_from(kept["made_from"]["modules"]):
            return str(kept["text"])

    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.core.util.files import write_json

    plugins = load_plugins()
    text = HEAD + "".join(_lines(plugins)) + TAIL
    modules = [module.__file__ for item in plugins.providers if (module := sys.modules.get(item.target))]
    if not plugins.broken:  # a repaired plugin must not be missed
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"made_from": _made_from([name for name in modules if name]), "text": text})
    return text


def _made_from(modules: Any) -> dict[str, Any]:
    """What the help depends on: the plugins' modules, and the folders with installed distributions."""
    return {"version": sightsmith.__version__, "disabled": os.environ.get("SIGHTSMITH_DISABLE_PLUGINS", ""),
            "folders": {name: _changed(name) for name in sys.path},
            "modules": {name: _changed(name) for name in modules}}


def _changed(path: str) -> int | None:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return None


def _lines(plugins: Plugins) -> list[str]:
    rows = [(f"{record.name:10} {record.usage}".rstrip(), record.description) for record in plugins.commands.values()]
    width = max((len(command) for command, _ in rows), default=0)
    return [f"  sightsmith {command:{width}}  {description}\n" for command, description in rows]
