"""Export of a classifier: images to probabilities."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from torch import Tensor, nn

from sightsmith.plugin import Exporter, Model, Outputs
from sightsmith.plugins.classification import metrics
from sightsmith.plugins.classification.metrics import ClassificationResult


class _Probabilities(nn.Module):
    def __init__(self, model: Model, *, multi_label: bool) -> None:
        super().__init__()
        self.model, self.multi_label = model, multi_label

    def forward(self, images: Tensor) -> tuple[Tensor]:
        logits = self.model(**self.model.data_preprocessor({"inputs": images}), mode="predict").float()
        return (logits.sigmoid() if self.multi_label else logits.softmax(1),)


class ClassifierExporter(Exporter[ClassificationResult]):
    """Images are stretched to the network's input size."""

    outputs = {"probabilities": "(batch, classes) float32, in the order of `classes`: they sum to 1, or, for "
                                "multi-label, each class has its own"}
    fit = "stretch"
    averageable = True

    def __init__(self, model: Model, *, channels: int, size: int, multi_label: bool) -> None:
        self.module = _Probabilities(deepcopy(model).cpu().eval(), multi_label=multi_label).eval()
        self.channels, self.multi_label = channels, multi_label
        self.height = self.width = self.longest = size

    def images(self, batch: dict[str, Any]) -> Tensor:
        inputs: Tensor = batch["inputs"]
        return inputs

    def evaluation_step(self, outputs: Outputs, batch: dict[str, Any]) -> list[ClassificationResult]:
        """The logits are recovered from the probabilities."""
        logits = metrics.logits(outputs["probabilities"], self.multi_label)
        targets = batch["data_samples"]
        label = targets["label"]
        labels: list[Any] = list(label.numpy().astype(np.int8)) if self.multi_label else label.tolist()
        return [{"index": index, "loss": np.nan, "logits": row, "label": truth}
                for index, row, truth in zip(targets["index"].tolist(), logits, labels, strict=True)]
