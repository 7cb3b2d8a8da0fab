"""A folder of predictions: JSON, a table, a page, and pictures with the predictions drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.util.files import fill_file, short_path, write_json
from sightsmith.engine.data.thumbnails import blended, palette, shown_bands
from sightsmith.engine.pipeline.mask_volumes import MaskVolumes
from sightsmith.engine.pipeline.predicted import PredictedImage
from sightsmith.engine.pipeline.prediction_table import table_for
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.draw import drawn
from sightsmith.engine.report.page import write_csv
from sightsmith.engine.report.predictions_page import Card, write_predictions_page, write_thumbnail

FORMAT = 1
FILE, TABLE, PAGE = "predictions.json", "predictions.csv", "index.html"
PICTURES, THUMBNAILS, MAPS, HEATMAPS = "pictures", "thumbnails", "maps", "heatmaps"
HEATMAP_OPACITY = 0.6
"""Of the highest value, drawn over the image."""


class PredictionFolder:
    """Fills the empty folder ``path`` with predictions of ``result`` for images with ``infos``, by name; ``first`` is
    one of them. Objects below ``min_score`` are only in the JSON; without ``pictures`` there is no page."""

    def __init__(self, path: Path, result: Result, infos: Mapping[str, ImageInfo], first: Prediction, *,
                 min_score: float, pictures: bool) -> None:
        self.path, self._result, self._infos = path, result, infos
        self._min_score, self._pictures = min_score, pictures
        self._table = table_for(first, result.classes, multi_label=result.task.multi_label, min_score=min_score)
        self._volumes = MaskVolumes(path, MAPS, infos)
        self._images: list[dict[str, Any]] = []
        self._cards: list[Card] = []
        self._places: set[str] = set()

    def add(self, item: PredictedImage, heatmap: Array | None) -> None:
        """Write the pictures of one image or frame, and keep what the other files say of it."""
        files: dict[str, str] = {}
        place = short_path(item.name) + ("" if item.frame is None else f"-{item.frame}")
        while place in self._places:  # "IM-0" is frame 0 of IM, and may be a file beside it
            place += "+"
        self._places.add(place)
        found = self._table.add(item.name, item)
        if item.semantic_mask is not None:
            files["semantic_mask"] = f"{MAPS}/{place}.png"
            self._write(files["semantic_mask"], _coloured(item.semantic_mask, self._result.classes))
        if self._pictures:
            files["picture"] = f"{PICTURES}/{place}.png"
            pixels = item.rgb()
            picture = drawn(pixels, item, self._result.classes, self._min_score)
            self._write(files["picture"], picture)
            small = Image.fromarray(pixels) if item.scores else picture  # the caption has the labels
            size = write_thumbnail(small, self.path / THUMBNAILS / f"{place}.jpg")
            name = item.name if item.frame is None else f"{item.name}, frame {item.frame}"
            self._cards.append(Card(name, found, files["picture"], f"{THUMBNAILS}/{place}.jpg", size))
        if heatmap is not None:
            files["heat_map"] = f"{HEATMAPS}/{place}.png"
            self._write(files["heat_map"], _heated(item.rgb(), heatmap))
        self._volumes.add(item.name, item)
        self._images.append(item.to_json() | files)

    def finish(self, source: str, unreadable: Mapping[str, str]) -> str:
        """Write JSON, table and page of what has been added. ``source`` is the input, and ``unreadable`` has the reason
        for each image that could not be read. Returns the line that sums it up."""
        for name, reason in unreadable.items():
            self._images.append({"image": name, "error": reason})
            self._table.add_error(name, reason)
        task, volumes = self._result.task, self._volumes.entries
        shown = shown_bands(task.config.image, self._infos.values())
        write_json(self.path / FILE, {
            "format": FORMAT, "run": str(self._result.run_dir), "task": task.config.task.name,
            "classes": list(self._result.classes), "images": self._images,
            **({"volumes": volumes} if volumes else {}), **({"shown": shown} if shown else {})})
        write_csv(self.path / TABLE, self._table.table())
        summary = self._table.summary()
        if self._pictures:
            write_predictions_page(
                self.path, self._result.run_dir.name, source, summary, self._cards, self._result.classes,
                measure=self._table.measure, problems=[f"{name}: {reason}" for name, reason in unreadable.items()],
                files=[TABLE, FILE], shown=shown)
        return summary

    def _write(self, name: str, picture: Image.Image) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fill_file(path, lambda place: picture.save(place, format="PNG"))


def _coloured(semantic_mask: Array, classes: Sequence[str]) -> Image.Image:
    picture = Image.fromarray(semantic_mask)
    picture.putpalette([0, 0, 0, *(part for colour in palette(classes).values() for part in colour)])
    return picture


def _heated(pixels: Array, heatmap: Array) -> Image.Image:
    stretched = Image.fromarray(heatmap).resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
    strength = np.clip(np.array(stretched), 0, 1)
    colours = 255 * colormaps["inferno"](strength)[..., :3]
    return Image.fromarray(blended(pixels, colours, HEATMAP_OPACITY * strength))
