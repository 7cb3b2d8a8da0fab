"""What a run was made from, as hashes and versions, so that it can be told apart and made again."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from sightsmith.core.plugins import OWN_DISTRIBUTION, Plugins


def digest(value: Any) -> str:
    """sha256 of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def make_lock(config: dict[str, Any], *, data: str, split: str, weights: str | None,
              plugins: Plugins) -> dict[str, Any]:
    """The content of ``lock.json``. ``weights`` is the digest of the file of starting weights."""
    return {
        "data": data, "split": split, "weights": weights, "config": digest(config),
        "packages": packages(plugins), "python": platform.python_version(), "platform": platform.platform(),
    }


def packages(plugins: Plugins) -> dict[str, str]:
    """Installed versions of sightsmith, its requirements and the distributions of its plugins."""
    names = {provider.distribution for provider in plugins.providers} | {OWN_DISTRIBUTION}
    for requirement in requires(OWN_DISTRIBUTION) or []:
        names.add(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
    found = {}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
    return found
