"""Batch-normalization statistics of weights that no training has gathered them for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightsmith.core.contracts.results import Model
from sightsmith.engine.training.optim import freeze


@torch.no_grad()
def recompute_statistics(model: Model, batches: Iterable[dict[str, Any]], frozen: Iterable[nn.Module]) -> None:
    """Recompute the running statistics of ``model``, as plain means over ``batches`` of training images, and leave it
    in eval mode. Those of ``frozen`` modules stay.

    Averaged weights need it (Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization, 2018).
    Unlike ``torch.optim.swa_utils.update_bn``, it leaves layers alone that a network itself keeps in eval mode.
    """
    model.train()
    freeze(frozen)
    layers = [module for module in model.modules()
              if isinstance(module, _BatchNorm) and module.training and module.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
    for batch in batches if layers else ():
        model(**model.data_preprocessor(batch, True), mode="loss")  # as in training: every network can
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.eval()
