"""Augmentations that make one training image of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sightsmith.plugin import IGNORED, AnnotatedImage, Array

if TYPE_CHECKING:
    from numpy.random import Generator

Other = Callable[[], AnnotatedImage]

CENTRE = (0.3, 0.7)
"""Where the four images of a mosaic meet, as a share of its side."""


@dataclass(frozen=True)
class MixUp:
    """A weighted mean of two images and of their classes: arXiv 1710.09412."""

    alpha: float

    def __call__(self, image: AnnotatedImage, other: Other, generator: Generator) -> AnnotatedImage:
        second, share = other(), np.float32(generator.beta(self.alpha, self.alpha))
        return replace(image, image=share * image.image + (1 - share) * second.image,
                       scores=_mixed(image, second, share))


@dataclass(frozen=True)
class CutMix:
    """A rectangle of another image; the classes count by the share of their pixels: arXiv 1905.04899."""

    alpha: float

    def __call__(self, image: AnnotatedImage, other: Other, generator: Generator) -> AnnotatedImage:
        second, (height, width) = other(), image.size
        side = (1 - generator.beta(self.alpha, self.alpha)) ** 0.5
        down, across = round(side * height), round(side * width)
        top, left = generator.integers(0, height - down + 1), generator.integers(0, width - across + 1)
        values = image.image.copy()
        values[top:top + down, left:left + across] = second.image[top:top + down, left:left + across]
        share = np.float32(1 - down * across / (height * width))
        return replace(image, image=values, scores=_mixed(image, second, share))


def _mixed(first: AnnotatedImage, second: AnnotatedImage, share: np.float32) -> Array:
    assert first.scores is not None and second.scores is not None
    found: Array = share * first.scores + (1 - share) * second.scores
    return found


@dataclass(frozen=True)
class Mosaic:
    """Four images, each of a random scale, that meet at a random point of a square: arXiv 2004.10934. What none covers
    is 0, and ignored in a semantic mask."""

    smallest: float

    def __call__(self, image: AnnotatedImage, other: Other, generator: Generator) -> AnnotatedImage:
        side = max(image.size)
        across, down = (round(share * side) for share in generator.uniform(*CENTRE, 2))
        parts = []
        for place, part in enumerate((image, other(), other(), other())):
            right, low = place % 2, place // 2
            left, top = across * right, down * low
            size = ((side - down) if low else down, (side - across) if right else across)
            zoom = generator.uniform(self.smallest, 1) * side / max(part.size)
            height, width = part.size
            # The corner next to the meeting point stays there.
            move = np.array([[zoom, 0, 0 if right else size[1] - zoom * width],
                             [0, zoom, 0 if low else size[0] - zoom * height], [0, 0, 1]])
            parts.append((part.warped(move, size), left, top))
        return _joined(parts, side)


def _joined(parts: list[tuple[AnnotatedImage, int, int]], side: int) -> AnnotatedImage:
    """``parts`` (image, left, top) in one square of ``side`` pixels."""
    first = parts[0][0]
    dtype = np.result_type(*(part.image for part, _, _ in parts))  # float32 if one has more than 8 bits
    found = AnnotatedImage(np.zeros((side, side, first.image.shape[2]), dtype))
    maps = None if first.semantic_mask is None else np.full((side, side), IGNORED, np.uint8)
    masks = []
    for part, left, top in parts:
        window = np.s_[top:top + part.size[0], left:left + part.size[1]]
        found.image[window] = part.image
        if maps is not None and part.semantic_mask is not None:
            maps[window] = part.semantic_mask
        for mask in () if part.masks is None else part.masks:
            masks.append(np.zeros((side, side), np.uint8))
            masks[-1][window] = mask
    if first.boxes is None:
        return replace(found, semantic_mask=maps)
    moved = [part.boxes + np.array([left, top] * 2, np.float32) for part, left, top in parts if part.boxes is not None]
    return replace(found, boxes=np.concatenate(moved), semantic_mask=maps,
                   labels=np.concatenate([part.labels for part, _, _ in parts if part.labels is not None]),
                   ignored=np.concatenate([part.ignored for part, _, _ in parts if part.ignored is not None]),
                   masks=None if first.masks is None else np.array(masks, np.uint8).reshape(-1, side, side))


@dataclass(frozen=True)
class CopyPaste:
    """Some objects of another image over this one, at their place there; what they hide is taken from the masks below,
    and an object that is hidden goes: arXiv 2012.07177. Without masks nothing is pasted."""

    objects: int

    def __call__(self, image: AnnotatedImage, other: Other, generator: Generator) -> AnnotatedImage:
        second = other().warped(np.eye(3), image.size)
        if image.masks is None or second.masks is None or second.ignored is None:
            return image
        whole = np.flatnonzero(~second.ignored & (second.masks.any((1, 2))))
        chosen = generator.permutation(whole)[:generator.integers(1, self.objects + 1)]
        if not len(chosen):
            return image
        pasted = second.masks[chosen]
        cover = pasted.any(0)
        below = image.masks * ~cover
        kept = np.flatnonzero(below.any((1, 2)) | ~image.masks.any((1, 2)))
        values = np.where(cover[..., None], second.image, image.image)
        assert image.labels is not None and second.labels is not None and image.ignored is not None
        return replace(image, image=values, masks=np.concatenate([below[kept], pasted]),
                       labels=np.concatenate([image.labels[kept], second.labels[chosen]]),
                       ignored=np.concatenate([image.ignored[kept], second.ignored[chosen]])).tightened()


@dataclass(frozen=True)
class MultiScale:
    """Another size of the whole image, so that batches differ in it; a network pads its batch to the largest."""

    smallest: float
    largest: float

    def __post_init__(self) -> None:
        if self.smallest > self.largest:
            raise ValueError("smallest is above largest")

    def __call__(self, image: AnnotatedImage, other: Other, generator: Generator) -> AnnotatedImage:
        zoom = generator.uniform(self.smallest, self.largest)
        height, width = (max(round(zoom * side), 1) for side in image.size)
        return image.warped(np.diag([width / image.size[1], height / image.size[0], 1]), (height, width))
