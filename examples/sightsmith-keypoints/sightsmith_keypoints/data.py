"""Images with keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from sightsmith.plugin import Config, Sample, color_jitter, read_image


class ImagePoints(Dataset[Any]):
    """Items ``(image (3, size, size) float32 in [0, 1], points (K, 2) in [0, 1], index)``.

    The image is stretched to a square. A keypoint without a box is NaN. In training the key is ``(index, seed)``.
    """

    def __init__(self, samples: Sequence[Sample], names: Sequence[str], config: Config, size: int) -> None:
        self.samples, self.names, self.config, self.size = list(samples), list(names), config, size

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        index, seed = key if isinstance(key, tuple) else (key, None)
        sample, settings = self.samples[index], self.config.image
        values = read_image(sample, windows=settings.windows, value_range=settings.range)
        height, width = values.shape[:2]
        points = torch.full((len(self.names), 2), torch.nan)
        for item in sample.objects:
            left, top, right, bottom = item.box
            middle = (left + right) / 2 / width, (top + bottom) / 2 / height
            points[self.names.index(item.label)] = torch.tensor(middle)
        image = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
        image = image.float() / 255 if image.dtype == torch.uint8 else image.float()
        image = image.expand(3, -1, -1) if len(image) == 1 else image
        image = functional.interpolate(image[None], (self.size, self.size), mode="bilinear", antialias=True)[0]
        if seed is not None:
            image, points = self._augmented(image, points, np.random.default_rng(seed), values.shape[2] == 3)
        return image, points, index

    def _augmented(self, image: Tensor, points: Tensor, random: np.random.Generator, colour: bool,
                   ) -> tuple[Tensor, Tensor]:
        if self.config.augment.horizontal_flip and random.random() < 0.5:
            image = image.flip(-1)
            points = torch.stack([1 - points[:, 0], points[:, 1]], 1)
        return color_jitter(image, self.config.augment.color_jitter, random.uniform, rgb=colour), points
