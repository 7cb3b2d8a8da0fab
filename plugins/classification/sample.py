"""The embedded data set: scikit-learn's 1,797 handwritten digits, as PNG class folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SIDE = 32
"""pixels; the digits are 8 x 8, below the smallest side that is accepted"""


def write(folder: Path) -> None:
    """Write ``Classes/<digit>/digit-0000.png`` into ``folder``, all or nothing; keeps what is there."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        digits = load_digits()
        for number, (values, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            path = temporary / "Classes" / str(label) / f"digit-{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.rint(values * (255 / 16)).astype(np.uint8)
            Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
        temporary.chmod(0o755)
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
