"""Building a model of OpenMMLab's packages from its configuration, in an explicit registry scope."""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from sightsmith.plugins.openmmlab.adapt import CHANNELS
from sightsmith.plugins.openmmlab.ops.extension import provide_operators
from sightsmith.plugins.openmmlab.patches import name_missing_losses, patch_mask_pasting, patch_matching, patch_modes
from sightsmith.plugins.openmmlab.stems import build_for, widen


def build_model(model: dict[str, Any], package: str) -> Any:
    """The initialised ``mmengine.model.BaseModel`` that ``model`` describes; ``package`` is ``mmdet`` or ``mmseg``.

    Types are looked up in the package's registry, ``mmdet.Name`` in mmdet's.
    """
    # Repeated at every step, about third-party code.
    warnings.filterwarnings("ignore", r"`torch\.cuda\.amp", FutureWarning)
    built = assemble(model, package)
    from mmengine.model import revert_sync_batchnorm

    with scope(package), _quiet():
        built.init_weights()
    name_missing_losses(built)
    # Some models use synchronous batch normalization even on the CPU, where it fails; the engine enables it on GPUs.
    return revert_sync_batchnorm(built)


def assemble(model: dict[str, Any], package: str) -> Any:
    """The model with the layers initialised by torch."""
    parts, channels = registry(package), model.get(CHANNELS)
    from mmengine.config import ConfigDict

    described = ConfigDict({key: value for key, value in model.items() if key != CHANNELS})
    if channels is not None:
        build_for(described, len(channels["mean"]))
    with scope(package), _quiet():
        built = parts.build(described)  # models read its keys as attributes
    if channels is not None:
        widen(built, channels)
    return built


def registry(package: str) -> Any:
    """The ``mmengine.Registry`` of ``package``'s models, with all modules imported."""
    provide_operators()
    from mmengine.logging import MMLogger

    MMLogger.get_current_instance().setLevel(logging.WARNING)  # layers log every load of weights
    for name in dict.fromkeys((package, "mmdet")):  # mmsegmentation's configurations use modules of mmdet
        importlib.import_module(f"{name}.models")
    patch_mask_pasting()
    patch_matching()
    patch_modes()
    return importlib.import_module(f"{package}.registry").MODELS


@contextmanager
def scope(package: str) -> Iterator[None]:
    """Resolve names without a prefix in ``package``; otherwise mmengine guesses from the call stack.

    A name that is in no registry is unknown; otherwise mmengine imports the Python module of that name.
    """
    from mmengine.registry import DefaultScope
    from mmengine.registry import registry as lookup

    imported = lookup.get_object_from_string
    lookup.get_object_from_string = lambda name: None
    try:
        with DefaultScope.overwrite_default_scope(package):
            yield
    finally:
        lookup.get_object_from_string = imported


@contextmanager
def without_distributed() -> Iterator[None]:
    """Hide the process group from the models.

    Their losses average over ranks in every mode. In evaluation the ranks have different numbers of batches and
    would wait for each other forever.
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
    """Silence mmengine, which logs the initialisation of every parameter, and backbones, some of which print: what
    they do goes where warnings of libraries go."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        logger.setLevel(level)
        log = logging.getLogger("py.warnings")
        if log.handlers and (text := printed.getvalue().strip()):  # without one, Python would print it after all
            log.warning("printed: %s", text)
