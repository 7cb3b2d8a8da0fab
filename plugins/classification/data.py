"""Samples as tensors: read, downscaled, cached in memory if they fit, augmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from sightsmith.plugin import (
    AnnotatedImage,
    Array,
    CheckedAugmentation,
    Config,
    ImageError,
    MemoryCache,
    Sample,
    UserError,
    apply_augmentations,
    apply_composing,
    apply_geometric,
    has_kind,
    read_part,
)
from sightsmith.plugins.classification.augment import augment, resize

UNLABELLED = -1

SPARE = 1.5
"""In training, images are downscaled to this many times the network's input, so that random crops stay sharp."""


class ClassificationDataset(Dataset[Any]):
    """Items ``(image (C, size, size) float32 in [0, 1], label, index)``.

    The label is a class number, :data:`UNLABELLED` if there is none, or a float32 vector (K,): for multi-label, and in
    training where images are mixed. In training the key is ``(index, seed)``. Grey images fill all channels; each
    DICOM window, and each band of an image of several, is one.
    """

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], config: Config, size: int, *,
                 multi_label: bool, training: bool, augmentations: Sequence[CheckedAugmentation] = ()) -> None:
        self.samples, self.config, self.size, self.training = list(samples), config, size, training
        self._augmentations = augmentations
        self._images = MemoryCache(self._read, enabled=config.trainer.cache)
        self.channels = config.image.input_channels
        self._classes = len(classes)
        numbers = {name: number for number, name in enumerate(classes)}
        if multi_label:
            self.labels: list[Any] = []
            for sample in self.samples:
                vector = torch.zeros(len(classes))
                vector[[numbers[label] for label in sample.labels]] = 1
                self.labels.append(vector)
        else:
            self.labels = [numbers[sample.labels[0]] if sample.labels else UNLABELLED for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Any, int]:
        index, seed = key if isinstance(key, tuple) else (key, None)
        if seed is None:
            image, _ = self._images[index]
            image, label = image.float() / 255 if image.dtype == torch.uint8 else image, self.labels[index]
        else:
            image, label = self._augmented(index, seed)
            image = apply_augmentations(image, self._augmentations, seed)
        if image.shape[0] < self.channels:
            image = image.expand(self.channels, -1, -1)
        return image, label, index

    def _augmented(self, index: int, seed: int) -> tuple[Tensor, Any]:
        """The image after all but the photometric augmentations of plugins, and its label; where images are composed,
        the share of each class (K,) instead of a class number."""
        image, label = self._moved(index, seed), self.labels[index]
        if not has_kind(self._augmentations, "composing"):
            return image, label

        def read(other: int, generator: np.random.Generator) -> AnnotatedImage:
            return self._annotated(other, self._moved(other, int(generator.integers(2**63))))

        found = apply_composing(self._annotated(index, image), read, len(self), self._augmentations, seed)
        return _tensor(found.image), torch.from_numpy(found.scores)

    def _moved(self, index: int, seed: int) -> Tensor:
        image, colour = self._images[index]
        image = augment(image, self.size, self.config.augment, seed, colour=colour)
        if has_kind(self._augmentations, "geometric"):
            image = _tensor(apply_geometric(self._annotated(index, image), self._augmentations, seed).image)
        return image

    def _annotated(self, index: int, image: Tensor) -> AnnotatedImage:
        """An augmented ``image`` of the sample ``index``, with all of the network's channels."""
        label = self.labels[index]
        scores = label if isinstance(label, Tensor) else functional.one_hot(torch.tensor(label), self._classes).float()
        values = image.expand(self.channels if image.shape[0] == 1 else -1, -1, -1).permute(1, 2, 0)
        return AnnotatedImage(np.ascontiguousarray(values.numpy()), scores=scores.numpy())

    def _read(self, index: int) -> tuple[Tensor, bool]:
        """(C, H, W), uint8 or float32 in [0, 1], and whether its first three channels are RGB."""
        sample = self.samples[index]
        try:
            tensor = _tensor(read_part(sample, self.config.image, round(SPARE * self.size)).values)
        except ImageError as error:
            raise UserError(f"{sample.key} was readable when the data set was checked, but no longer is: {error}"
                            ) from error
        if not self.training:
            tensor = resize(tensor, self.size, self.size)
        elif (excess := min(tensor.shape[1:]) / (SPARE * self.size)) > 1:
            tensor = resize(tensor, round(tensor.shape[1] / excess), round(tensor.shape[2] / excess))
        return tensor, len(tensor) >= 3 and self.config.image.has_rgb


def _tensor(values: Array) -> Tensor:
    """(C, H, W) of an image (H, W, C)."""
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def collate(items: list[tuple[Tensor, Any, int]]) -> dict[str, Any]:
    """``inputs`` (N, C, H, W); ``data_samples`` with ``label`` (N,) or (N, K) and ``index`` (N,)."""
    images, labels, places = zip(*items, strict=True)
    label = torch.stack(labels) if isinstance(labels[0], Tensor) else torch.tensor(labels)
    return {"inputs": torch.stack(images), "data_samples": {"label": label, "index": torch.tensor(places)}}
