"""The configuration files that mmdet and mmsegmentation install: their model zoos, by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from sightsmith.core.errors import UserError, near
from sightsmith.plugins.openmmlab.ops.extension import provide_operators


def folder(package: str) -> Path:
    """Where the installed ``package`` (``mmdet``, ``mmseg``) keeps its configurations. Imports nothing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The package {package} is not installed.", hint="pip install --force-reinstall sightsmith")
    return Path(spec.submodule_search_locations[0]) / ".mim" / "configs"


def names(package: str) -> list[str]:
    """Every configuration as ``folder/name`` without ``.py``, sorted; the shared parts ``_base_`` left out."""
    root = folder(package)
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.py")
                  if "_base_" not in path.parts and path.name != "__init__.py")


def load(package: str, name: str) -> Any:
    """The ``mmengine.Config`` called ``name``, its parts merged. Raises UserError for a name that is not in the zoo.

    Only files of the installed package are read: a configuration is Python, and is executed.
    """
    known = names(package)
    if name not in known:
        raise UserError(f"{package} has no configuration {name!r}.{near(name, known)}",
                        hint=f"there are {len(known)}, in {folder(package)}")
    provide_operators()  # some configurations import the package's modules
    from mmengine.config import Config

    return Config.fromfile(folder(package) / f"{name}.py")
