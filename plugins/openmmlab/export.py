"""Export shared by detectors and segmentation networks."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from sightsmith.plugin import Exporter, Model, Outputs, ResultT
from sightsmith.plugins.openmmlab.task import OpenMMLabTask
from sightsmith.plugins.openmmlab.traceable import traceable


class OpenMMLabExporter(Exporter[ResultT]):
    """Images keep their aspect ratio; the rest of the input is padding."""

    fit = "letterbox"

    def __init__(self, task: OpenMMLabTask[ResultT, Any], model: Model, height: int, width: int) -> None:
        self.task, self.model = task, deepcopy(model).cpu().eval()
        self.longest, self.height, self.width = task.input_size(), height, width
        self.channels = task.config.image.input_channels
        self.pad = (0,) * self.channels

    def traceable(self) -> AbstractContextManager[Any]:
        return traceable()

    def images(self, batch: dict[str, Any]) -> Tensor:
        return torch.stack([self._padded(image.float() / 255) for image in batch["inputs"]])

    def _padded(self, image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        padded = torch.tensor(self.pad, dtype=torch.float32).reshape(-1, 1, 1).repeat(1, self.height, self.width)
        padded[:, :height, :width] = image
        return padded

    def evaluation_step(self, outputs: Outputs, batch: dict[str, Any]) -> list[ResultT]:
        return [self.task.result(sample, float("nan"))
                for sample in self.predicted({name: torch.from_numpy(values) for name, values in outputs.items()},
                                             batch["data_samples"])]

    @abstractmethod
    def predicted(self, outputs: dict[str, Tensor], samples: list[Any]) -> list[Any]:
        """``samples`` with predictions, in pixels of the original image or tile."""


def normalised(preprocessor: Any, images: Tensor) -> Tensor:
    """Images (N, C, H, W) in [0, 1], RGB where C is 3, normalised as by the preprocessor of mmdet or mmsegmentation."""
    values = 255 * images
    if getattr(preprocessor, "channel_conversion", getattr(preprocessor, "_channel_conversion", False)):
        values = values.flip(1)
    return (values - preprocessor.mean) / preprocessor.std if preprocessor._enable_normalize else values
