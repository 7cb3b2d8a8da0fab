"""The plugins that a run's task and network came from: its lock file names them, for where they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightsmith.core.plugins.manager import OWN_DISTRIBUTION, Plugins
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.reading import read_json

LOCK = "lock.json"
KEY = "plugins"


def plugins_of(config: Mapping[str, Any], plugins: Plugins) -> dict[str, Any]:
    """The entry of a lock file for a run with the nested values ``config``."""
    found = {}
    for kind in ("task", "network"):
        name = config[kind]["name"]
        provider = plugins.provider(f"{kind}s", name)
        found[kind] = {"name": name, "distribution": provider.distribution, "version": provider.version}
    return {KEY: found}


def ensure_plugins(run: Path, plugins: Plugins) -> None:
    """Raises UserError if no installed plugin provides the task or the network of ``run``, with the package that did.

    Says nothing of a run whose lock file is missing or damaged, or older than this entry.
    """
    try:
        entries = read_json(run / LOCK, {KEY: dict})[KEY]
        missing = {kind: entry for kind, entry in entries.items()
                   if str(entry["name"]) not in getattr(plugins, f"{kind}s")}
        problems = [Problem(f"the {kind} {entry['name']!r} of {entry['distribution']} {entry['version']}",
                            hint=_advice(entry, plugins)) for kind, entry in missing.items()]
    except (UserError, KeyError, TypeError, AttributeError):
        return
    if problems:
        raise UserError(f"{run} was trained with plugins that are not installed here:", problems=problems)


def _advice(entry: Mapping[str, str], plugins: Plugins) -> str:
    distribution = entry["distribution"]
    for item in plugins.broken:
        if item.provider.distribution == distribution:
            return f"it is installed, but broken (see `sightsmith doctor`): {item.cause}"
    if any(item.distribution == distribution != OWN_DISTRIBUTION for item in plugins.providers):
        return f"another version is installed: pip install {distribution}=={entry['version']}"
    return f"pip install {distribution}=={entry['version']}"
