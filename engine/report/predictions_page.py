"""``index.html`` of a folder of predictions: a contact sheet that can be sorted and filtered, without a network."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from sightsmith.core.contracts.report import Section
from sightsmith.core.util.files import write_atomic
from sightsmith.engine.report.page import render, write_page

THUMBNAIL = 320
"""Longest side, pixels."""


@dataclass(frozen=True)
class Card:
    """A picture of the sheet: its caption is ``name`` and what was ``found``, a score or share for each class; the
    paths are relative to the page."""

    name: str
    found: Mapping[str, float]
    picture: str
    thumbnail: str
    size: tuple[int, int]
    """Width and height of the thumbnail."""

    def values(self, measure: str) -> dict[str, object]:
        """Those of the template."""
        text = "\n".join(f"{label}: {measure} {value:.2f}" for label, value in self.found.items()) or "nothing found"
        width, height = self.size
        return {"name": self.name, "found": json.dumps(self.found), "text": text, "width": width, "height": height,
                "picture": quote(self.picture), "thumbnail": quote(self.thumbnail)}


def write_thumbnail(picture: Image.Image, path: Path) -> tuple[int, int]:
    """Write a small copy of ``picture`` as JPEG; returns its width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = picture.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()  # into a file, Pillow says nothing of bytes that the disk did not take
    small.save(buffer, format="JPEG", quality=85)
    write_atomic(path, buffer.getvalue())
    return small.size


def write_predictions_page(folder: Path, run: str, source: str, summary: str, cards: Sequence[Card],
                           classes: Sequence[str], *, measure: str, problems: Sequence[str], files: Sequence[str],
                           shown: str) -> None:
    """Write the page of ``cards`` into ``folder``.

    ``source`` is what was predicted, ``measure`` says what the values of the cards are ("score"), ``files`` are linked,
    and ``shown`` says what pictures show of images with other than three channels."""
    sheet = render("predictions.html", cards=[card.values(measure) for card in cards], classes=classes, measure=measure)
    write_page(folder, f"Predictions of {run}", source, summary, headline=[],
               sections=[Section("Predictions", note=shown, html=sheet, sources=tuple(files))],
               warnings=problems)
