"""Pictures of reports as PNG."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from sightsmith.core.contracts.report import Picture


def as_png(picture: Picture) -> bytes:
    """The picture at its display size; small ones are enlarged without interpolation."""
    height, width = picture.image.shape[:2]
    scale = picture.side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    method = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    shown = Image.fromarray(picture.image).resize(size, method)
    pen = ImageDraw.Draw(shown)
    for box, colour, text in picture.boxes:
        left, top, right, bottom = (round(side * scale) for side in box)
        pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=colour, width=2)
        if text:
            pen.text((left + 3, top + 1), text, fill=colour)
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG")
    return buffer.getvalue()
