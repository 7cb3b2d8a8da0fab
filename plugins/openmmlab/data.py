"""Annotated images for the OpenMMLab packages, augmented by mmdet's transforms."""

from __future__ import annotations

import copy
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sightsmith.plugin import (
    AnnotatedImage,
    Array,
    CheckedAugmentation,
    Config,
    ImageConfig,
    ImageError,
    ImagePart,
    MemoryCache,
    Sample,
    UserError,
    apply_augmentations,
    apply_composing,
    apply_geometric,
    channelwise,
    color_jitter,
    has_kind,
    is_large,
    network_rgb,
    read_part,
)
from sightsmith.plugins.openmmlab.ops.extension import provide_operators
from sightsmith.plugins.openmmlab.transforms import Results, from_annotated, geometric_transforms, to_annotated

provide_operators()  # at import, as workers may unpickle mmdet's transforms first

SPARE = 1.5
"""Before random crops, images are downscaled to this many times the network's input, so that crops stay sharp."""


class AnnotatedImages(Dataset[Any], ABC):
    """Items ``{"inputs": (C, h, w), 0 to 255, "data_samples": ...}``; the longer of h and w is ``size``.

    In training the key is ``(index, seed)``. Inputs are uint8, or float32 from more than 8 bits and after
    colour jitter. Grey images and one DICOM window fill all of the network's channels.
    """

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], config: Config, size: int, *,
                 training: bool, augmentations: Sequence[CheckedAugmentation] = ()) -> None:
        self.samples, self.config, self.size, self.training = list(samples), config, size, training
        self.classes = tuple(classes)
        self._transforms = geometric_transforms(config.augment, size) if training else []
        self._extra = augmentations
        self._last: tuple[str, ImagePart] | None = None
        self._kept = MemoryCache(self._read, enabled=config.trainer.cache)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        index, seed = key if isinstance(key, tuple) else (key, None)
        results = copy.deepcopy(self._kept[index])  # the transforms change boxes in place
        if seed is None:
            return self.pack(_tensor(results["img"]), results)
        with seeded(seed):
            if has_kind(self._extra, "composing"):
                results = from_annotated(results, self._composed(to_annotated(results), seed))
            for transform in self._transforms:
                results = transform(results)
            if has_kind(self._extra, "geometric"):
                results = from_annotated(results, apply_geometric(to_annotated(results), self._extra, seed))
            image = _tensor(results["img"])
            if any(vars(self.config.augment.color_jitter).values()):
                image = 255 * color_jitter(image.float() / 255, self.config.augment.color_jitter, np.random.uniform,
                                           rgb=results["rgb"])
            return self.pack(self._augmented(image, seed), results)

    def _composed(self, image: AnnotatedImage, seed: int) -> AnnotatedImage:
        return apply_composing(image, lambda other, generator: to_annotated(self._kept[other]), len(self), self._extra,
                               seed)

    def _augmented(self, image: Tensor, seed: int) -> Tensor:
        """``image`` (C, h, w) of 0 to 255 after the augmentations of plugins, which want float32 in [0, 1]."""
        if not self._extra or image.dtype == torch.uint8:
            return apply_augmentations(image, self._extra, seed)
        return 255 * apply_augmentations(image / 255, self._extra, seed)

    @abstractmethod
    def annotate(self, sample: Sample, shape: tuple[int, int], view: View) -> Results:
        """The ``gt_...`` of ``sample``, whose image has ``shape`` (height, width), in ``view``."""

    @abstractmethod
    def pack(self, image: Tensor, results: Results) -> dict[str, Any]:
        """The item of an augmented ``image`` (C, h, w)."""

    def _read(self, index: int) -> Results:
        sample = self.samples[index]
        part = self._decoded(sample)
        values, shape = part.values, part.size
        view = View(sample.tile or (0, 0, shape[1], shape[0]), self._kept_side(sample, shape))
        shown = view.scaled(part.cut(view.box))
        shown = shown if shown.dtype == np.uint8 else 255 * shown
        return {
            "img": np.repeat(shown, self.config.image.input_channels, 2) if shown.shape[2] == 1 else shown,
            "rgb": values.shape[2] >= 3 and self.config.image.has_rgb, "img_id": index, "img_shape": view.shape,
            "ori_shape": view.original, "scale_factor": (view.across, view.down),
            **self.annotate(sample, shape, view),
        }

    def _decoded(self, sample: Sample) -> ImagePart:
        """The whole image, or the tile of one too large for that; the last one is cached for its next tile."""
        if self._last is None or self._last[0] != sample.image or not self._last[1].covers(sample.tile):
            try:
                part = read_part(sample, self.config.image, round(SPARE * self.size))
            except ImageError as error:
                raise UserError(f"{sample.key} was readable when the data set was checked, but no longer is: {error}"
                                ) from error
            self._last = sample.image, part
        return self._last[1]

    def _kept_side(self, sample: Sample, shape: tuple[int, int]) -> int:
        """The longer side of the cached image, pixels."""
        if self.training and self.config.augment.resized_crop:
            longest = max(sample.tile[2:]) if sample.tile else max(shape)
            return min(longest, round(SPARE * self.size))
        return self.size


class View:
    """A part of an image, ``(left, top, width, height)`` in its pixels, scaled so that its longer side is ``side``."""

    def __init__(self, tile: tuple[int, int, int, int], side: int) -> None:
        self.box = tile
        self.left, self.top, width, height = tile
        self.original = (height, width)
        scale = side / max(width, height)
        self.shape = (max(round(scale * height), 1), max(round(scale * width), 1))
        self.across, self.down = self.shape[1] / width, self.shape[0] / height

    @property
    def step(self) -> int:
        """Of so many rows and columns one is enough for :meth:`scaled_map` of an image at reduced size."""
        return max(1, int(min(1 / self.across, 1 / self.down))) if is_large(*self.original) else 1

    def scaled(self, part: Array) -> Array:
        """(H, W, C), the part of the image in this view, to (h, w, C) of this view, of the same type."""
        part = np.ascontiguousarray(part)
        if part.shape[:2] == self.shape:
            return part
        interpolation = cv2.INTER_AREA if self.across < 1 else cv2.INTER_LINEAR
        return channelwise(part, lambda some: cv2.resize(some, self.shape[::-1], interpolation=interpolation))

    def scaled_map(self, part: Array) -> Array:
        """(H, W), the part of a map in this view, to (h, w) of this view, by nearest neighbour."""
        return cv2.resize(np.ascontiguousarray(part), self.shape[::-1], interpolation=cv2.INTER_NEAREST)

    def boxes(self, boxes: Array) -> tuple[Array, Array]:
        """(N, 4) xyxy of the whole image to this view, clipped, and the visible fraction (N,) of each box."""
        height, width = self.original
        moved = boxes - np.array([self.left, self.top] * 2, dtype=boxes.dtype)
        inside = moved.clip(0, [width, height] * 2).astype(boxes.dtype)
        part = _area(inside) / np.maximum(_area(moved), 1e-9)
        return inside * np.array([self.across, self.down] * 2, dtype=boxes.dtype), part


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed ``random`` and numpy inside the block, and restore their state afterwards."""
    state, numbers = random.getstate(), np.random.get_state()
    derived = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(derived)
    np.random.seed(derived)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numbers)


def item_rgb(inputs: Tensor, image: ImageConfig) -> Array:
    """(H, W, 3) uint8: the ``inputs`` (C, h, w) of an item, for display."""
    return network_rgb((inputs.permute(1, 2, 0).float() / 255).numpy(), image)


def _tensor(image: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _area(boxes: Array) -> Array:
    return (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
