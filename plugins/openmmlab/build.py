"""Building a model of OpenMMLab's packages from its configuration, in an explicit registry scope."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sightsmith.plugins.openmmlab.ops.extension import provide_operators


def build_model(model: dict[str, Any], package: str) -> Any:
    """The initialised ``mmengine.model.BaseModel`` that ``model`` describes; ``package`` is ``mmdet`` or ``mmseg``.

    Names of parts are looked up in the package's registry, ``mmdet.Name`` in mmdet's.
    """
    # Said at every step, of code that is not ours.
    warnings.filterwarnings("ignore", r"`torch\.cuda\.amp", FutureWarning)
    parts = registry(package)
    from mmengine.config import ConfigDict

    with scope(package), _quiet():
        built = parts.build(ConfigDict(model))  # whose keys the models read as attributes
        built.init_weights()
    return built


def registry(package: str) -> Any:
    """The ``mmengine.Registry`` of ``package``'s models and their parts, all of them imported."""
    provide_operators()
    for name in dict.fromkeys((package, "mmdet")):  # mmsegmentation's configurations use parts of mmdet
        importlib.import_module(f"{name}.models")
    return importlib.import_module(f"{package}.registry").MODELS


@contextmanager
def scope(package: str) -> Iterator[None]:
    """Names without a prefix mean ``package``'s. mmengine would else guess from the calls that led to it."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope(package):
        yield


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
