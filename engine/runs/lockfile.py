"""The lock file: hashes and versions of everything that a run depends on, so that it can be verified and repeated."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from sightsmith.core.plugins.manager import OWN_DISTRIBUTION, Plugins
from sightsmith.core.util.digest import digest
from sightsmith.core.util.files import write_json
from sightsmith.core.util.reading import Damaged, read_json
from sightsmith.engine.config.run_plugins import plugins_of

PARTS = {
    "data": "the images or their labels", "split": "the split into training and validation",
    "weights": "the file of starting weights", "config": "config.yaml", "preset": "the content of the preset's file",
    "bundle": "the weights in model/",
}
"""Entries that are digests, with their names in error messages."""

PLANNED = ("precision", "memory_format", "micro_batch", "devices", "device")
"""Values of the plan that the configuration may leave open and that the weights depend on."""

HINT = "restore the file from a copy of the run, or train it again"

LOCKED = (*PARTS, *PLANNED, "packages", "python", "platform")
"""The keys of the lock file of a finished run."""


def make_lock(config: dict[str, Any], *, data: str, split: str, weights: str | None, preset: str | None,
              plan: Mapping[str, Any], plugins: Plugins) -> dict[str, Any]:
    """The content of ``lock.json`` when a run starts; it lists images that were left out because they cannot be read.

    ``weights`` is the digest of the file of starting weights, ``preset`` the preset's checksum.
    """
    return {"data": data, "split": split, "weights": weights, "config": digest(config), "preset": preset,
            **({"left_out": plan["left_out"]} if plan["left_out"] else {}),
            **{key: plan[key] for key in PLANNED}, **plugins_of(config, plugins), **environment(plugins)}


def read_lock(path: Path, keys: Sequence[str] = LOCKED) -> dict[str, Any]:
    """The content of the file ``path``. Raises UserError if it is missing or damaged, or lacks one of ``keys``."""
    kinds = {key: dict if key == "packages" else int if key in ("micro_batch", "devices") else str | None
             for key in keys}
    lock: dict[str, Any] = read_json(path, kinds, HINT)
    if missing := [key for key in keys if key not in lock]:
        raise Damaged(path, f"it has no {', '.join(missing)}", HINT)
    return lock


def add_bundle(lock: Path, tensors: str) -> None:
    """Add the digest of the run's best weights to the file ``lock``."""
    write_json(lock, read_json(lock, {}) | {"bundle": tensors})


def environment(plugins: Plugins) -> dict[str, Any]:
    """The software environment of a run: ``packages``, ``python`` and ``platform``."""
    return {"packages": packages(plugins), "python": platform.python_version(), "platform": platform.platform()}


@cache
def _version(name: str) -> str:
    """Read once: what a process has imported stays the same, whatever is installed meanwhile."""
    return version(name)


def packages(plugins: Plugins) -> dict[str, str]:
    """Installed versions of sightsmith, its requirements and the distributions of its plugins."""
    names = {provider.distribution for provider in plugins.providers} | {OWN_DISTRIBUTION}
    for requirement in requires(OWN_DISTRIBUTION) or []:
        names.add(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
    found = {}
    for name in sorted(names):
        try:
            found[name] = _version(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
    return found
