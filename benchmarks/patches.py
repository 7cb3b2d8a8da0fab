"""Classification on two more real sets, which scikit-image 0.16.2 carries: faces, and textures of surfaces.

Get the file with ``pip download --no-deps --only-binary :all: --python-version 37 --platform manylinux1_x86_64
scikit-image==0.16.2``; it is not installed, only its pictures are read.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

TEXTURES = ("brick", "grass", "gravel")
SIDE = 24
"""Pixels of a window of a texture."""


def write_faces(wheel: Path, root: Path) -> None:
    """100 faces and 100 windows of photos without one, 25 px, grey; the first 5 of each as ``train/<class>``, the
    others as ``val/<class>``: with 50 a linear head on frozen features makes no mistake."""
    pictures = np.load(io.BytesIO(zipfile.ZipFile(wheel).read("skimage/data/lfw_subset.npy")), allow_pickle=False)
    for number, picture in enumerate(pictures):
        folder = root / ("train" if number % 100 < 5 else "val") / ("face" if number < 100 else "other")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((255 * picture).astype(np.uint8)).save(folder / f"{number:03d}.png")


def write_textures(wheel: Path, root: Path) -> None:
    """Windows of three grey photos, which overlap within a half only: ten of each left half train."""
    random = np.random.default_rng(0)
    for name in TEXTURES:
        photo = Image.open(io.BytesIO(zipfile.ZipFile(wheel).read(f"skimage/data/{name}.png"))).convert("L")
        for part, (first, last) in {"train": (0, photo.width // 2), "val": (photo.width // 2, photo.width)}.items():
            (root / part / name).mkdir(parents=True)
            for number in range(10 if part == "train" else 100):
                left, top = random.integers(first, last - SIDE), random.integers(0, photo.height - SIDE)
                photo.crop((left, top, left + SIDE, top + SIDE)).save(root / part / name / f"{number:03d}.png")
