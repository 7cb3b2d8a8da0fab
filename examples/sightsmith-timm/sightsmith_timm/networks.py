"""timm's networks for sightsmith's classification task."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from sightsmith.plugin import UserError


def build_network(*, num_classes: int, channels: int, size: int, name: str, **options: Any) -> nn.Module:
    """timm's network ``name`` with random weights. Raises UserError for ``options`` that it does not take."""
    try:
        module: nn.Module = timm.create_model(name, num_classes=num_classes, in_chans=channels, **options)
    except (TypeError, RuntimeError) as error:
        raise UserError(f"timm's {name} cannot be built with options {options}: {error}",
                        hint="change network.options") from error
    return module
