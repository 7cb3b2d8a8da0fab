"""Augmentations that move pixels: homographies (3, 3) from pixels of the image to pixels of the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sightsmith.plugin import Array

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class VerticalFlip:
    def __call__(self, size: tuple[int, int], generator: Generator) -> Array:
        return np.array([[1, 0, 0], [0, -1, size[0]], [0, 0, 1]], float)


@dataclass(frozen=True)
class Affine:
    """Zoom and shear about the centre. Zooming in by a factor is as likely as zooming out by it."""

    scale: float
    shear: float

    def __call__(self, size: tuple[int, int], generator: Generator) -> Array:
        zoom = (1 + self.scale) ** generator.uniform(-1, 1)
        across, down = np.tan(np.radians(generator.uniform(-self.shear, self.shear, 2)))
        linear = zoom * np.array([[1, across], [down, 1]])
        if abs(np.linalg.det(linear)) < 0.1 * zoom**2:  # both sides sheared by 45 degrees make a line
            linear = zoom * np.array([[1, across], [0, 1]])
        centre = np.array([size[1], size[0]]) / 2
        found = np.eye(3)
        found[:2, :2], found[:2, 2] = linear, centre - linear @ centre
        return found


@dataclass(frozen=True)
class Perspective:
    """Each corner moves inwards by at most ``distortion`` of half a side."""

    distortion: float

    def __call__(self, size: tuple[int, int], generator: Generator) -> Array:
        import cv2

        sides = np.array([size[1], size[0]], np.float32)
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        inwards = generator.uniform(0, self.distortion / 2, (4, 2)).astype(np.float32) * (1 - 2 * corners)
        found: Array = cv2.getPerspectiveTransform(corners * sides, (corners + inwards) * sides)
        return found
