"""Images that end early or have other bytes than were written."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from damaged_images import refusals
from PIL import Image
from reading import probe
from test_images import DEEP_RGB, RNG, tiff

from sightsmith.core.contracts.image import ImageError


def encoded(kind: str, values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_truncated_files_raise(tmp_path: Path, kind: str) -> None:
    content = encoded(kind, RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    path = tmp_path / "a"
    for part in (0.3, 0.6, 0.9):
        path.write_bytes(content[:int(len(content) * part)])
        with pytest.raises(ImageError):
            probe(path)


def test_damaged_bytes_raise_nothing_else(tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    deep = cv2.imencode(".png", noise.astype(np.uint16) * 257)[1].tobytes()
    sources = [encoded(kind, noise) for kind in ("JPEG", "PNG", "TIFF", "BMP")]
    sources += [deep, tiff(tmp_path / "a.tif", DEEP_RGB, photometric=2).read_bytes()]
    assert refusals(tmp_path / "x", sources * 30, reaches=[64, 400]) > 50
