"""Pictures of reports as files: small ones for the page, and what a click on one shows."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from sightsmith.core.contracts.report import Picture

SMALLEST, LARGEST = 480, 1280
"""Longer side of a full-size picture, pixels."""


def thumbnail(picture: Picture) -> bytes:
    """PNG at its display size."""
    return _encoded(_drawn(picture, picture.side, 2), format="PNG")


def full_size(picture: Picture) -> bytes:
    """JPEG with the pixels of the image; small ones are enlarged, very large ones reduced."""
    side = min(max(*picture.image.shape[:2], SMALLEST), LARGEST)
    return _encoded(_drawn(picture, side, max(side // 240, 2)), format="JPEG", quality=92, subsampling=0)


def _drawn(picture: Picture, side: int, width: int) -> Image.Image:
    """With a longer side of ``side``, and boxes whose lines are ``width`` wide; much is enlarged without interpolation.
    """
    height, across = picture.image.shape[:2]
    scale = side / max(height, across)
    size = (max(round(across * scale), 1), max(round(height * scale), 1))
    method = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    shown = Image.fromarray(picture.image).resize(size, method)
    pen, font = ImageDraw.Draw(shown), ImageFont.load_default(5 * width + 1)
    for box, colour, text in picture.boxes:
        left, top, right, bottom = (round(part * scale) for part in box)
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=colour, width=width)
        if text:
            pen.text((left + width + 1, top + 1), text, fill=colour, font=font)
    return shown


def _encoded(picture: Image.Image, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **settings)
    return buffer.getvalue()
