"""A folder of predictions: JSON, a table, a page, and pictures with the predictions drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.util.files import fill_file, short_path, write_json
from sightsmith.engine.data.thumbnails import blended, load_rgb, palette, shown_bands
from sightsmith.engine.pipeline.mask_volumes import MaskVolumes
from sightsmith.engine.pipeline.prediction_table import table_for
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.draw import drawn
from sightsmith.engine.report.page import write_csv
from sightsmith.engine.report.predictions_page import Card, write_predictions_page, write_thumbnail

FORMAT = 1
TOP = 5
"""Labels written for each image, the most likely first."""
FILE, TABLE, PAGE = "predictions.json", "predictions.csv", "index.html"
PICTURES, THUMBNAILS, MAPS, HEATMAPS = "pictures", "thumbnails", "maps", "heatmaps"
HEATMAP_OPACITY = 0.6
"""Of the highest value, drawn over the image."""


@dataclass
class ImagePrediction:
    """The prediction for one image, the image's path relative to the input, and the files written for it by kind."""

    name: str
    prediction: Prediction
    files: dict[str, str] = field(default_factory=dict)
    reader: str | None = None

    @property
    def sample(self) -> Sample:
        """The image again, without annotation."""
        return Sample(self.prediction.path, self.name, frame=self.prediction.frame, reader=self.reader)

    def to_json(self) -> dict[str, Any]:
        found = self.prediction
        content: dict[str, Any] = {"image": self.name, "frame": found.frame, "width": found.width,
                                   "height": found.height}
        if found.scores:
            content["labels"] = [{"label": name, "score": round(score, 6)}
                                 for name, score in list(found.scores.items())[:TOP]]
        elif found.semantic_mask is None:
            content["objects"] = [
                {"label": item.label, "score": round(item.score, 6), "box": [round(side, 3) for side in item.box],
                 **({"mask": {"size": [item.mask.height, item.mask.width], "counts": item.mask.counts.decode()}}
                    if item.mask is not None else {})} for item in found.objects]
        return content | self.files


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

    def add(self, item: ImagePrediction, heatmap: Array | None) -> None:
        """Write the pictures of one image or frame, and keep what the other files say of it."""
        prediction, image = item.prediction, self._result.task.config.image
        place = short_path(item.name) + ("" if prediction.frame is None else f"-{prediction.frame}")
        while place in self._places:  # "IM-0" is frame 0 of IM, and may be a file beside it
            place += "+"
        self._places.add(place)
        found = self._table.add(item.name, prediction)
        if prediction.semantic_mask is not None:
            item.files["semantic_mask"] = f"{MAPS}/{place}.png"
            self._write(item.files["semantic_mask"], _coloured(prediction.semantic_mask, self._result.classes))
        if self._pictures:
            item.files["picture"] = f"{PICTURES}/{place}.png"
            pixels = load_rgb(item.sample, image)
            picture = drawn(pixels, prediction, self._result.classes, self._min_score)
            self._write(item.files["picture"], picture)
            small = Image.fromarray(pixels) if prediction.scores else picture  # the caption has the labels
            size = write_thumbnail(small, self.path / THUMBNAILS / f"{place}.jpg")
            name = item.name if prediction.frame is None else f"{item.name}, frame {prediction.frame}"
            self._cards.append(Card(name, found, item.files["picture"], f"{THUMBNAILS}/{place}.jpg", size))
        if heatmap is not None:
            item.files["heat_map"] = f"{HEATMAPS}/{place}.png"
            self._write(item.files["heat_map"], _heated(load_rgb(item.sample, image), heatmap))
        self._volumes.add(item.name, prediction)
        self._images.append(item.to_json())

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
