"""What is made from all plugins and kept in the cache folder, because loading the plugins is slow."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sightsmith

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


def kept(file: str, make: Callable[[Plugins], Any]) -> Any:
    """``make(plugins)``, which JSON can hold, from ``file`` in the cache folder if nothing that it depends on has
    changed."""
    from sightsmith.core.util.files import cache_dir

    path = cache_dir() / file
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        earlier = json.loads(path.read_text())
        if earlier["made_from"] == _made_from(earlier["made_from"]["modules"]):
            return earlier["content"]

    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.core.util.files import write_json

    plugins = load_plugins()
    content = make(plugins)
    modules = [module.__file__ for item in plugins.providers if (module := sys.modules.get(item.target))]
    if not plugins.broken:  # a repaired plugin must not be missed
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"made_from": _made_from([name for name in modules if name]), "content": content})
    return content


def _made_from(modules: Any) -> dict[str, Any]:
    """What it depends on: the plugins' modules, and the folders with installed distributions."""
    return {"version": sightsmith.__version__, "disabled": os.environ.get("SIGHTSMITH_DISABLE_PLUGINS", ""),
            "folders": {name: _changed(name) for name in sys.path},
            "modules": {name: _changed(name) for name in modules}}


def _changed(path: str) -> int | None:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return None
