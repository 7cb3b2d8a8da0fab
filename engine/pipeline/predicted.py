"""What a finished run predicts, as records of Python that notebooks show."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, Any, overload

from PIL import Image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.thumbnails import load_rgb
from sightsmith.engine.pipeline.prediction_table import MIN_SCORE, PredictionTable, table_for
from sightsmith.engine.report.draw import drawn
from sightsmith.engine.report.page import render

if TYPE_CHECKING:
    from pandas import DataFrame

TOP = 5
"""Labels in JSON for each image, the most likely first."""
SHOWN = 24
"""Pictures of predictions in a notebook; of more, the first."""
SIDE = 160
"""Longest side of such a picture, pixels."""


@dataclass(frozen=True, kw_only=True)
class PredictedImage(Prediction):
    """The prediction of a run for one image, or for one ``frame`` of a multi-frame file.

    ``name`` is the path relative to a folder that was predicted, the path as it was given, or the image's place among
    those given, such as ``images[3]``.
    """

    name: str
    task: Task = field(repr=False, compare=False)
    sample: Sample = field(repr=False, compare=False)
    pixels: Array | None = field(repr=False, compare=False)
    """(height, width, 3) uint8 of an image from memory, for :meth:`plot`; None for a file, which is read again"""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes found: the most likely one, with multi-label those of at least 0.5; those of objects with a score
        of at least 0.3; those of the mask, the largest area first."""
        return tuple(self._found)

    @property
    def _found(self) -> dict[str, float]:
        """Each class found, with its highest score or its share of the image, the highest first."""
        found = _table([self], MIN_SCORE).add(self.name, self)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def plot(self, min_score: float = MIN_SCORE) -> Image.Image:
        """The image with labels, boxes or masks drawn in, as ``sightsmith predict`` writes it; objects below
        ``min_score`` are left out. Raises UserError if the file is gone."""
        return drawn(self.rgb(), self, self.task.classes, min_score)

    def rgb(self) -> Array:
        """The image as it is shown: (height, width, 3) uint8. Raises UserError if the file is gone."""
        if self.pixels is not None:
            return self.pixels
        try:
            return load_rgb(self.sample, self.task.config.image)
        except (ImageError, OSError) as error:
            raise UserError(f"{self.path}: {error}", hint="the image is read again to show it") from error

    def to_json(self) -> dict[str, Any]:
        """As in ``predictions.json``; the mask of a segmentation is not in it."""
        content: dict[str, Any] = {"image": self.name, "frame": self.frame, "width": self.width, "height": self.height}
        if self.scores:
            content["labels"] = [{"label": name, "score": round(score, 6)}
                                 for name, score in list(self.scores.items())[:TOP]]
        elif self.semantic_mask is None:
            content["objects"] = [
                {"label": item.label, "score": round(item.score, 6), "box": [round(side, 3) for side in item.box],
                 **({"mask": {"size": [item.mask.height, item.mask.width], "counts": item.mask.counts.decode()}}
                    if item.mask is not None else {})} for item in self.objects]
        return content

    def to_dataframe(self, min_score: float = MIN_SCORE) -> DataFrame:
        """See :meth:`Predictions.to_dataframe`."""
        return Predictions([self]).to_dataframe(min_score)

    def _repr_html_(self) -> str:
        return Predictions([self])._repr_html_()


class Predictions(Sequence[PredictedImage]):
    """The predictions for several images, in their order."""

    def __init__(self, items: Iterable[PredictedImage]) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, place: int) -> PredictedImage: ...
    @overload
    def __getitem__(self, place: slice) -> Predictions: ...

    def __getitem__(self, place: int | slice) -> PredictedImage | Predictions:
        return Predictions(self._items[place]) if isinstance(place, slice) else self._items[place]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<Predictions: {_table(self._items, MIN_SCORE).summary() if self._items else 'none'}>"

    def to_dataframe(self, min_score: float = MIN_SCORE) -> DataFrame:
        """A pandas data frame with the columns of ``predictions.csv``: a row for each image with labels, for each
        object with a score of at least ``min_score``, or for each class in a mask. An image in which nothing was found
        has one row without a label. Raises UserError if pandas is missing."""
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise UserError("to_dataframe() needs pandas, which is not installed",
                            hint="pip install 'sightsmith[pandas]'") from error
        if not self._items:
            return DataFrame(columns=["image", "frame"])
        header, *rows = _table(self._items, min_score).table()
        frame = DataFrame([[nan if cell == "" else cell for cell in row] for row in rows], columns=header)
        return frame.drop(columns="error")

    def _repr_html_(self) -> str:
        if not self._items:
            return repr(self)
        shown = [(item.name if item.frame is None else f"{item.name}, frame {item.frame}", _caption(item),
                  _thumbnail(item)) for item in self._items[:SHOWN]]
        return str(render("shown_predictions.html", summary=_table(self._items, MIN_SCORE).summary(), shown=shown,
                          side=SIDE, more=max(len(self._items) - SHOWN, 0)))


def _table(items: Sequence[PredictedImage], min_score: float) -> PredictionTable:
    task = items[0].task
    table = table_for(items[0], task.classes, multi_label=task.multi_label, min_score=min_score)
    for item in items:
        table.add(item.name, item)
    return table


def _caption(item: PredictedImage) -> str:
    return ", ".join(f"{label} {value:.2f}" for label, value in item._found.items()) or "nothing found"


def _thumbnail(item: PredictedImage) -> str:
    """A PNG file in base 64."""
    picture = Image.fromarray(item.rgb()) if item.scores else item.plot()  # the caption has the labels
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
