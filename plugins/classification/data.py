"""Samples as tensors: read, shrunk, kept in memory where they fit, augmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sightsmith.core.dataset import Sample
from sightsmith.core.images import read_image
from sightsmith.core.schema import Config
from sightsmith.plugins.classification.augment import augment, resize

SPARE = 1.5
"""Images are kept this much larger than the network's input, so that a random crop stays sharp."""

CACHE_SHARE = 0.25
"""Part of the free memory that decoded images may take."""


class ImageLabels(Dataset[Any]):
    """Items ``(image (C, size, size) float32 in [0, 1], label, index)``.

    The label is a class number, or a float32 vector (K,) for multi-label. In training an item is
    asked for as ``(index, seed)``. Grey images fill three channels; DICOM windows make one each.
    """

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], config: Config, size: int, *,
                 multi_label: bool, training: bool) -> None:
        self.samples, self.config, self.size, self.training = list(samples), config, size, training
        self.channels = input_channels(config)
        numbers = {name: number for number, name in enumerate(classes)}
        if multi_label:
            self.labels: list[Any] = []
            for sample in self.samples:
                vector = torch.zeros(len(classes))
                vector[[numbers[label] for label in sample.labels]] = 1
                self.labels.append(vector)
        else:
            self.labels = [numbers[sample.labels[0]] for sample in self.samples]
        largest = round(SPARE * size) ** 2 * self.channels * len(self.samples)
        self._cached = config.trainer.cache and largest < CACHE_SHARE * psutil.virtual_memory().available
        self._cache: dict[int, tuple[Tensor, bool]] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Any, int]:
        index, seed = key if isinstance(key, tuple) else (key, None)
        image, colour = self._image(index)
        image = image.float() / 255 if image.dtype == torch.uint8 else image
        if seed is None:
            image = resize(image, self.size)
        else:
            image = augment(image, self.size, self.config.augment, seed, colour=colour)
        if image.shape[0] < self.channels:
            image = image.expand(self.channels, -1, -1)
        return image, self.labels[index], index

    def _image(self, index: int) -> tuple[Tensor, bool]:
        """(C, H, W), uint8 or float32 in [0, 1], and whether its channels are RGB."""
        found = self._cache.get(index)
        if found is None:
            found = self._read(self.samples[index])
            if self._cached:
                self._cache[index] = found
        return found

    def _read(self, sample: Sample) -> tuple[Tensor, bool]:
        image = self.config.image
        values = read_image(sample.path, sample.frame, windows=image.windows, value_range=image.range)
        tensor = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
        if len(image.windows) > 1 and len(tensor) != self.channels:
            # A picture without DICOM windows in a set that has them: its grey in every channel.
            grey = tensor.float().mean(0, keepdim=True).to(tensor.dtype)
            tensor = grey.expand(self.channels, -1, -1)
        shorter, spare = min(tensor.shape[1:]), round(SPARE * self.size)
        if shorter > spare:
            height, width = (round(side * spare / shorter) for side in tensor.shape[1:])
            tensor = torch.nn.functional.interpolate(tensor[None].float(), (height, width), mode="bilinear",
                                                     antialias=True)[0].to(tensor.dtype)
        return tensor, len(tensor) == 3 and len(image.windows) < 2


def input_channels(config: Config) -> int:
    """Channels of the network's input: one for each of several DICOM windows, else three."""
    return len(config.image.windows) if len(config.image.windows) > 1 else 3


def collate(items: list[tuple[Tensor, Any, int]]) -> dict[str, Any]:
    """``inputs`` (N, C, H, W); ``data_samples`` with ``label`` (N,) or (N, K) and ``index`` (N,)."""
    images, labels, places = zip(*items, strict=True)
    label = torch.stack(labels) if isinstance(labels[0], Tensor) else torch.tensor(labels)
    return {"inputs": torch.stack(images), "data_samples": {"label": label, "index": torch.tensor(places)}}
