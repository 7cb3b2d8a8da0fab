"""Publishes the training progress in mmengine's message hub, for the few heads whose loss depends on it."""

from __future__ import annotations

import sys
from typing import Any

import torch
from mmengine.logging import MessageHub
from torch import nn


def publish_progress(model: nn.Module) -> None:
    """Update the hub's ``iter`` and ``epoch`` if a head of ``model`` reads them.

    Iterations are counted in a buffer of the model, so that the count survives a resume.
    """
    if not any(_reads_hub(part) for name, part in model.named_modules() if not name.startswith("data_preprocessor")):
        return
    model.register_buffer("passes", torch.zeros((), dtype=torch.int64))
    model.passes_per_epoch = 1  # type: ignore[assignment]  # until the data is known
    model.register_forward_pre_hook(_update, with_kwargs=True)
    _publish(0, 0)


def _reads_hub(part: nn.Module) -> bool:
    return any(hasattr(sys.modules[kind.__module__], "MessageHub") for kind in type(part).__mro__)


def _update(model: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
    if model.training and settings.get("mode") == "loss":
        passes = int(model.passes)
        _publish(passes, passes // model.passes_per_epoch)
        model.passes += 1


def _publish(passes: int, epoch: int) -> None:
    hub = MessageHub.get_current_instance()
    hub.update_info("iter", passes)
    hub.update_info("epoch", epoch)
