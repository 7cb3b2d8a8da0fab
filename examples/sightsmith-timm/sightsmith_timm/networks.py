"""timm's networks in the contract of sightsmith's classification task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import timm

from sightsmith.plugin import UserError
from sightsmith.plugins.classification.model import Classifier, Preprocessor


def build_network(name: str, classes: int, *, channels: int, size: int, mean: Sequence[float], std: Sequence[float],
                  multi_label: bool = False, label_smoothing: float = 0.0,
                  options: Mapping[str, Any] | None = None) -> Classifier:
    """timm's network ``name`` with random weights, for inputs (N, ``channels``, ``size``, ``size``).

    Raises UserError for ``options`` that the network does not take.
    """
    try:
        network = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels, **(options or {}))
    except (TypeError, RuntimeError) as error:
        raise UserError(f"timm's {name} cannot be built with options {dict(options or {})}: {error}",
                        hint="change network.options") from error
    return Classifier(network, Preprocessor(mean, std), multi_label=multi_label, label_smoothing=label_smoothing)
