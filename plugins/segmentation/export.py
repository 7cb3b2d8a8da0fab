"""Export of a segmentation network: images to logits per class and pixel."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sightsmith.plugin import Model
from sightsmith.plugins.openmmlab.build import scope, without_distributed
from sightsmith.plugins.openmmlab.export import OpenMMLabExporter, normalised
from sightsmith.plugins.openmmlab.task import OpenMMLabTask, fixed_rng


class _Maps(nn.Module):
    def __init__(self, model: Model, side: int) -> None:
        super().__init__()
        self.model, self.shape = model, (side, side)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        meta = {"img_shape": self.shape, "ori_shape": self.shape, "pad_shape": self.shape,
                "batch_input_shape": self.shape, "padding_size": [0] * 4}
        with scope("mmseg"), without_distributed(), fixed_rng():
            return (self.model.encode_decode(normalised(self.model.data_preprocessor, images), [meta]),)


class SegmentationExporter(OpenMMLabExporter):
    """Padded with black to a square, as in training."""

    outputs = {"logits": "(batch, 1 + classes, height, width) float32, background first, then in the order of "
                         "`classes`. Crop the padding, resize (bilinear) to the image's size, and take the largest"}

    averageable = True

    def __init__(self, task: OpenMMLabTask, model: Model) -> None:
        super().__init__(task, model, task.input_size(), task.input_size())
        self.module = _Maps(self.model, self.longest).eval()

    def predicted(self, outputs: dict[str, Tensor], samples: list[Any]) -> list[Any]:
        found: list[Any] = self.model.postprocess_result(outputs["logits"], samples)
        return found
