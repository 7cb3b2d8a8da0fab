"""The model zoos: the configuration files installed by mmdet and mmsegmentation."""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
from pathlib import Path
from typing import Any

from sightsmith.plugin import UserError, near
from sightsmith.plugins.openmmlab import unsupported
from sightsmith.plugins.openmmlab.adapt import walk
from sightsmith.plugins.openmmlab.ops.extension import provide_operators


def folder(package: str) -> Path:
    """Where the installed ``package`` (``mmdet``, ``mmseg``) keeps its configurations. Imports nothing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The package {package} is not installed.", hint="pip install --force-reinstall sightsmith")
    return Path(spec.submodule_search_locations[0]) / ".mim" / "configs"


def names(package: str) -> list[str]:
    """Every configuration as ``folder/name`` without ``.py``, sorted; without the shared ``_base_`` files."""
    root = folder(package)
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.py")
                  if "_base_" not in path.parts and path.name != "__init__.py")


@functools.cache
def load(package: str, name: str) -> Any:
    """The merged ``mmengine.Config`` called ``name``: a shared object that must not be changed.

    Only files of the installed package are read: a configuration is Python, and is executed. Raises UserError for a
    name that is not in the zoo, and for a configuration that needs a missing package or file.
    """
    known = names(package)
    if name not in known:
        raise UserError(f"{package} has no configuration {name!r}.{near(name, known)}",
                        hint=f"all {len(known)} configurations are in {folder(package)}")
    provide_operators()  # some configurations import the package's modules
    from mmengine.config import Config

    try:
        config = Config.fromfile(folder(package) / f"{name}.py", import_custom_modules=False)
        modules = config.get("custom_imports", {}).get("imports", [])
        for module in [modules] if isinstance(modules, str) else modules:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        needed = str(error.name).partition(".")[0]
        raise UserError(f"{package}'s configuration {name} needs {needed}, which is not installed") from error
    except FileNotFoundError as error:
        raise UserError(f"{package}'s configuration {name} needs a file that {package} does not install") from error
    return config


def load_model(package: str, name: str) -> dict[str, Any]:
    """The network of the configuration ``name``, as nested dicts. Also raises UserError if it does not fit a
    task."""
    config = load(package, name)
    model = copy.deepcopy(config.model.to_dict()) if "model" in config else None
    if why := unsupported.reason(model, package):
        raise UserError(f"{package}'s configuration {name} is not supported: {why}")
    assert model is not None
    return model


def transform(package: str, name: str, kind: str) -> dict[str, Any] | None:
    """The settings of the transform ``kind`` in the training pipeline of the configuration ``name``, if it is there."""
    steps = load(package, name).get("train_pipeline", [])
    return next((step for step in steps if step["type"] == kind), None)


def classes(package: str, name: str) -> tuple[str, ...]:
    """The classes of the data set that the configuration ``name`` trains on; empty if they are not known."""
    provide_operators()
    datasets = importlib.import_module(f"{package}.registry").DATASETS
    importlib.import_module(f"{package}.datasets")
    for node in walk(load(package, name).get("train_dataloader", {}).get("dataset", {})):
        kind = datasets.get(node["type"]) if isinstance(node.get("type"), str) else None
        found = (node.get("metainfo") or {}).get("classes") or getattr(kind, "METAINFO", {}).get("classes")
        if found:
            return (found,) if isinstance(found, str) else tuple(found)
    return ()


def resolve_teacher(package: str, model: dict[str, Any]) -> None:
    """Replace the path of a teacher network by its configuration."""
    path = model.get("teacher_config")
    if isinstance(path, str):
        model["teacher_config"] = {"model": load_model(package, path.removeprefix("configs/").removesuffix(".py"))}
