"""Building a model of OpenMMLab's packages from its configuration, in an explicit registry scope."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sightsmith.plugins.openmmlab.ops.extension import provide_operators
from sightsmith.plugins.openmmlab.patches import name_missing_losses, paste_anywhere


def build_model(model: dict[str, Any], package: str) -> Any:
    """The initialised ``mmengine.model.BaseModel`` that ``model`` describes; ``package`` is ``mmdet`` or ``mmseg``.

    Names of parts are looked up in the package's registry, ``mmdet.Name`` in mmdet's.
    """
    # Said at every step, of code that is not ours.
    warnings.filterwarnings("ignore", r"`torch\.cuda\.amp", FutureWarning)
    built = assemble(model, package)
    from mmengine.model import revert_sync_batchnorm

    with scope(package), _quiet():
        built.init_weights()
    name_missing_losses(built)
    # Some models make theirs synchronous by themselves, on the CPU too, where it cannot run; the engine knows when.
    return revert_sync_batchnorm(built)


def assemble(model: dict[str, Any], package: str) -> Any:
    """The model with its layers as torch initialises them."""
    parts = registry(package)
    from mmengine.config import ConfigDict

    with scope(package), _quiet():
        return parts.build(ConfigDict(model))  # whose keys the models read as attributes


def registry(package: str) -> Any:
    """The ``mmengine.Registry`` of ``package``'s models and their parts, all of them imported."""
    provide_operators()
    from mmengine.logging import MMLogger

    MMLogger.get_current_instance().setLevel(logging.WARNING)  # layers would tell of every loading of weights
    for name in dict.fromkeys((package, "mmdet")):  # mmsegmentation's configurations use parts of mmdet
        importlib.import_module(f"{name}.models")
    paste_anywhere()
    return importlib.import_module(f"{package}.registry").MODELS


@contextmanager
def scope(package: str) -> Iterator[None]:
    """Names without a prefix mean ``package``'s. mmengine would else guess from the calls that led to it."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope(package):
        yield


@contextmanager
def alone() -> Iterator[None]:
    """To the models inside, this process is the only one.

    Their losses average over ranks whatever the mode. In evaluation ranks have batches of their own, not
    always as many, and each would wait for the others for ever.
    """
    from torch import distributed

    real = distributed.is_initialized
    distributed.is_initialized = lambda: False
    try:
        yield
    finally:
        distributed.is_initialized = real


@contextmanager
def _quiet() -> Iterator[None]:
    """mmengine would tell of every parameter how it was initialised."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
