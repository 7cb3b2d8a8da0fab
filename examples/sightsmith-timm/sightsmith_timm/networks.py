"""timm's networks for sightsmith's classification task."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from sightsmith.plugin import Problem, UserError


def build_network(*, num_classes: int, channels: int, size: int, name: str, **options: Any) -> nn.Module:
    """timm's network ``name`` with random weights. Raises UserError for ``options`` that it does not take.

    Options must be numbers: timm would fetch or open the files that texts and ``pretrained`` name.
    """
    if not timm.is_model(name):  # timm would fetch "hf-hub:..."
        raise UserError(f"timm has no network {name!r}")
    wrong = [Problem(f"{key}={value}") for key, value in options.items()
             if not isinstance(value, (int, float)) or key.startswith("pretrained")]
    if wrong:
        raise UserError(f"network.options of timm's {name} may only be numbers, true and false, unlike these:",
                        problems=wrong, hint="network.weights=PATH loads weights")
    try:
        module: nn.Module = timm.create_model(name, num_classes=num_classes, in_chans=channels, **options)
    except (TypeError, RuntimeError) as error:
        raise UserError(f"timm's {name} cannot be built with options {options}: {error}",
                        hint="change network.options") from error
    return module
