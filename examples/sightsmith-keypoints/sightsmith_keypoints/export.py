"""Export: images to keypoints."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from torch import Tensor, nn

from sightsmith.plugin import Exporter, Model, Outputs, SampleResult
from sightsmith_keypoints.model import located


class _Points(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (located(self.model(images)),)


class PointsExporter(Exporter):
    """Images are stretched to the network's input size."""

    outputs = {"points": "(batch, classes, 3) float32: x and y in fractions of the image's size, and the probability"}
    fit = "stretch"
    channels = 3

    def __init__(self, model: Model, size: int) -> None:
        self.module = _Points(deepcopy(model).cpu())
        self.height = self.width = self.longest = size

    def images(self, batch: dict[str, Any]) -> Tensor:
        inputs: Tensor = batch["inputs"]
        return inputs

    def evaluation_step(self, outputs: Outputs, batch: dict[str, Any]) -> list[SampleResult]:
        truth = batch["data_samples"]
        errors = np.abs(outputs["points"][..., :2] - truth["points"].numpy()).max(-1)
        return [{"index": index, "loss": np.nan, "error": error}
                for index, error in zip(truth["index"].tolist(), errors, strict=True)]
