"""Plain loops for what several tests compare with."""

from __future__ import annotations

import math


def iou(a, b, offset=0):
    """Intersection over union of two ``x1, y1, x2, y2``."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + offset
    height = min(a[3], b[3]) - max(a[1], b[1]) + offset
    intersection = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    return intersection / (sum(areas) - intersection)


def bilinear(image, y, x):
    """``image`` (H, W) at a position, pixels outside being 0."""
    value = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < len(image) and 0 <= column < len(image[0]):
                value += image[row][column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def bilinear_with_border(image, y, x):
    """``image`` (H, W) at a position; up to one pixel outside it is the outermost pixel, then 0."""
    height, width = len(image), len(image[0])
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    return bilinear(image, min(max(y, 0), height - 1), min(max(x, 0), width - 1))
