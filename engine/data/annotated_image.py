"""A training image with what is annotated in it, and the three kinds of augmentation that change it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sightsmith.core.contracts.image import Array
from sightsmith.engine.data.channelwise import channelwise
from sightsmith.engine.data.masks import IGNORED

if TYPE_CHECKING:
    from numpy.random import Generator

MIN_VISIBLE = 0.25
"""Objects of which a smaller part of their box stays in the image are ignored in training."""


@dataclass(frozen=True)
class AnnotatedImage:
    """``image`` (H, W, C) uint8, or float32 in [0, 1] (in [0, 255] for detection and segmentation), and by task:

    - classification: ``scores`` (K,) float32, the share of each class; they sum to one, unless it is multi-label
    - detection: ``boxes`` (N, 4) float32 xyxy pixels, whose edges lie between pixels, ``labels`` (N,) int64,
      ``ignored`` (N,) bool and, with masks, ``masks`` (N, H, W) uint8
    - segmentation: ``semantic_mask`` (H, W) uint8, 255 is ignored
    """

    image: Array
    scores: Array | None = None
    boxes: Array | None = None
    labels: Array | None = None
    ignored: Array | None = None
    masks: Array | None = None
    semantic_mask: Array | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    def warped(self, matrix: Array, size: tuple[int, int] | None = None) -> AnnotatedImage:
        """All of it moved by the homography ``matrix`` (3, 3), which takes (x, y, 1) in pixels of this image to pixels
        of the result of ``size`` (height, width). What comes from outside is 0, and ignored in a semantic mask.

        Boxes are cut at the border. They are tight around moved masks; without masks they hold the four moved corners.
        """
        height, width = size or self.size
        shape = (height, width)
        found = replace(self, image=_warp(self.image, matrix, shape))
        if self.semantic_mask is not None:
            found = replace(found, semantic_mask=_warp(self.semantic_mask, matrix, shape, nearest=True, border=IGNORED))
        if self.boxes is None or self.ignored is None:
            return found
        moved = moved_boxes(self.boxes, matrix)
        inside = moved.clip(0, [width, height] * 2).astype(np.float32)
        part = _area(inside) / np.maximum(_area(moved), 1e-9)
        found = replace(found, boxes=inside, ignored=self.ignored | (part < MIN_VISIBLE))
        if self.masks is None:
            return found
        masks = [_warp(mask, matrix, shape, nearest=True) for mask in self.masks]
        return replace(found, masks=np.array(masks, np.uint8).reshape(-1, *shape)).tightened()

    def tightened(self) -> AnnotatedImage:
        """With boxes around the masks; an object without a pixel gets an empty box."""
        assert self.masks is not None
        boxes = np.zeros((len(self.masks), 4), np.float32)
        for box, mask in zip(boxes, self.masks, strict=True):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows):
                box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return replace(self, boxes=boxes)


class PhotometricAugmentation(Protocol):
    """Changes the values of an image at random, and moves nothing in it. Like the other kinds it must be picklable, as
    DataLoader workers get a copy: an instance of a class, or a ``functools.partial`` of a function of a module."""

    def __call__(self, image: Array, generator: Generator) -> Array:
        """``image`` (H, W, C) is uint8, or float32 in [0, 1], and may be changed in place; C is 1, 3 (RGB, unless
        ``image.rgb=false`` or three windows), or the number of ``image.windows`` or of the images' bands. The result
        has the same shape, dtype and range. All that is random comes from ``generator``, which is seeded for each image
        and epoch."""


class GeometricAugmentation(Protocol):
    """Says where the pixels of an image go; sightsmith moves the image, boxes, masks and maps, once for all geometric
    augmentations together."""

    def __call__(self, size: tuple[int, int], generator: Generator) -> Array:
        """The homography (3, 3) that takes (x, y, 1) in pixels of an image of ``size`` (height, width) to pixels of
        the result, which has the same size; the image's corners are (0, 0) and (width, height). It is not singular."""


class ComposingAugmentation(Protocol):
    """Makes a new annotated image of one and, where it wants, of others."""

    def __call__(self, image: AnnotatedImage, other: Callable[[], AnnotatedImage], generator: Generator,
                 ) -> AnnotatedImage:
        """``other()`` is another image of the training set, drawn from ``generator``. Neither may be changed in place.

        In classification all images have the network's size and are augmented, but not photometrically. In detection
        and segmentation this comes first: the longer side of an image is about the network's size.
        """


def moved_boxes(boxes: Array, matrix: Array) -> Array:
    """The smallest boxes (N, 4) float64 xyxy that hold the corners of ``boxes``, moved by ``matrix`` (3, 3)."""
    left, top, right, bottom = boxes.astype(np.float64).T
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], 1).reshape(-1, 4, 2)
    moved = np.concatenate([corners, np.ones((*corners.shape[:2], 1))], 2) @ matrix.T
    moved = moved[..., :2] / moved[..., 2:]
    return np.concatenate([moved.min(1), moved.max(1)], 1).reshape(-1, 4)


def _warp(values: Array, matrix: Array, size: tuple[int, int], *, nearest: bool = False, border: int = 0) -> Array:
    """``values`` (H, W) or (H, W, C) moved by ``matrix``; OpenCV's coordinates have pixels' centres at integers."""
    import cv2

    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    centred = np.linalg.inv(half) @ matrix @ half

    def warp(part: Array) -> Array:
        return cv2.warpPerspective(part, centred, size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT,
                                   borderValue=(border,) * 4)

    return channelwise(values, warp) if values.ndim == 3 else warp(np.ascontiguousarray(values))


def _area(boxes: Array) -> Array:
    return (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
