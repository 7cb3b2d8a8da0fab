"""Provides the module ``mmcv._ext`` where mmcv is installed without compiled operators (mmcv-lite)."""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

EXTENSION = "mmcv._ext"
_lock = threading.Lock()


class _Extension(ModuleType):
    """``mmcv._ext``. ``mmcv.ops`` looks up every operator at import, so all names exist; a missing operator raises
    when it is called."""

    def __init__(self, operators: dict[str, Callable[..., Any]]) -> None:
        super().__init__(EXTENSION, "mmcv's operators from torchvision and torch.")
        self.__spec__ = ModuleSpec(EXTENSION, loader=None)
        self.__dict__.update(operators)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return functools.partial(_refuse, name)

    @staticmethod
    def get_compiler_version() -> str:
        return "not compiled"

    @staticmethod
    def get_compiling_cuda_version() -> str:
        return "not compiled"


def provide_operators() -> None:
    """Make ``mmcv.ops`` importable; call it before anything imports mmdet, mmseg or ``mmcv.ops``.

    A compiled ``mmcv._ext`` is left unchanged. Thread-safe, and can be called repeatedly.

    Raises:
        ModuleNotFoundError: mmcv is not installed.
    """
    with _lock:
        if EXTENSION not in sys.modules and not _compiled():
            sys.modules[EXTENSION] = _Extension(_operators())


def operators() -> str:
    """The implementation of ``mmcv.ops``: ``"compiled"`` or ``"torchvision and torch"``."""
    return "compiled" if _compiled() else "torchvision and torch"


def _compiled() -> bool:
    if EXTENSION in sys.modules:
        return not isinstance(sys.modules[EXTENSION], _Extension)
    return importlib.util.find_spec(EXTENSION) is not None


def _operators() -> dict[str, Callable[..., Any]]:
    from sightsmith.plugins.openmmlab.ops import (
        attention,
        carafe,
        deform_conv,
        deform_roi_pool,
        focal_loss,
        masked_conv,
        nms,
        psa_mask,
        roi,
        sync_bn,
    )

    families = (attention, carafe, deform_conv, deform_roi_pool, focal_loss, masked_conv, nms, psa_mask, roi, sync_bn)
    return {operator.__name__: _as_compiled(operator) for family in families for operator in family.OPERATORS}


def _as_compiled(operator: Callable[..., Any]) -> Callable[..., Any]:
    """Like compiled operators, without autograd and autocast: computes in the type of the input tensors."""
    import torch

    @functools.wraps(operator)
    def call(*tensors: torch.Tensor, **settings: Any) -> Any:
        with torch.no_grad(), torch.autocast(tensors[0].device.type, enabled=False):
            return operator(*tensors, **settings)

    return call


def _refuse(name: str, *_: Any, **__: Any) -> Any:
    raise NotImplementedError(
        f"the operator {name!r} of mmcv is not provided by torchvision and torch; it needs mmcv compiled with its "
        "operators: https://mmcv.readthedocs.io/en/2.x/get_started/build.html")
