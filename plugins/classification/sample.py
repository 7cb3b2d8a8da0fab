"""The embedded data set: scikit-learn's 1,797 handwritten digits, as PNG class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sightsmith.plugin import fill_folder

SIDE = 32
"""Pixels; the digits are 8 x 8, smaller than the smallest side allowed."""


def write(folder: Path) -> None:
    """Write ``Classes/<digit>/digit-0000.png`` into ``folder``, all or nothing; existing data is kept."""
    fill_folder(folder, _fill)


def _fill(folder: Path) -> None:
    from sklearn.datasets import load_digits  # slow to import, and only needed once

    digits = load_digits()
    for number, (values, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / "Classes" / str(label) / f"digit-{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.rint(values * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
