"""What predictions amount to: the rows of ``predictions.csv``, and one line for people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.util.text import counted, one_line

MIN_SCORE = 0.3
"""Of objects that are counted and drawn."""
THRESHOLD = 0.5
"""Labels of a multi-label image have at least this probability; a single label below it is called uncertain."""
NAMED = 10
"""Classes that the line names, the most frequent; the others are counted."""


def predicted_labels(scores: Mapping[str, float], multi_label: bool) -> list[str]:
    """The labels of an image with the probabilities ``scores``, highest first."""
    return [name for name, score in scores.items() if score >= THRESHOLD] if multi_label else list(scores)[:1]


def area_shares(semantic_mask: Array, classes: Sequence[str]) -> dict[str, float]:
    """The share of the pixels of ``semantic_mask`` (height, width) that each class in it has, largest first."""
    counts = np.bincount(semantic_mask.ravel(), minlength=len(classes) + 1)[1:].tolist()
    shares = {name: count / semantic_mask.size for name, count in zip(classes, counts, strict=True) if count}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


class PredictionTable(ABC):
    """Collects the predictions of one run with ``classes``."""

    columns: tuple[str, ...]
    """Those between the image's and the error's."""
    measure = "score"
    """What :meth:`add` returns for each class."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._rows: list[list[Any]] = []
        self._images: set[str] = set()
        self._predictions = 0
        self._empty = 0
        self._found: Counter[str] = Counter()

    @abstractmethod
    def _add(self, prediction: Prediction) -> tuple[list[list[Any]], dict[str, float]]:
        """Count ``prediction``. Returns its cells, a list for each row, and what :meth:`add` does."""

    @abstractmethod
    def _summary(self) -> str:
        """What was found, without the number of images."""

    def add(self, name: str, prediction: Prediction) -> dict[str, float]:
        """Add the prediction for the image ``name``. Returns each class found in it, with its highest score or, for
        areas, its share."""
        self._images.add(name)
        self._predictions += 1
        rows, found = self._add(prediction)
        self._empty += not found
        frame = "" if prediction.frame is None else prediction.frame
        self._rows += [[name, frame, *row, ""] for row in rows or [[""] * len(self.columns)]]
        return found

    def add_error(self, name: str, message: str) -> None:
        """Add an image that could not be read."""
        self._rows.append([name, "", *[""] * len(self.columns), message])

    def table(self) -> list[list[Any]]:
        """The header and the rows."""
        return [["image", "frame", *self.columns, "error"], *self._rows]

    def summary(self) -> str:
        """One line, such as ``30 images: 21 cat, 9 dog; 3 with a score below 0.5``."""
        images = counted(len(self._images), "image")
        frames = counted(self._predictions, "frame") + " of "
        return one_line(f"{frames if self._predictions > len(self._images) else ''}{images}: {self._summary()}")

    def _listed(self, texts: Iterable[str]) -> str:
        parts = list(texts)
        if (more := len(parts) - NAMED) > 0:
            parts[NAMED:] = [f"and {counted(more, 'other class', 'other classes')}"]
        return ", ".join(parts)

    def _counts(self) -> str:
        return self._listed(f"{count:,} {_shown(name)}" for name, count in self._found.most_common())


class LabelTable(PredictionTable):
    """Labels of whole images: a row for each image, with the probability of every class."""

    def __init__(self, classes: Sequence[str], multi_label: bool) -> None:
        super().__init__(classes)
        self.columns = ("label", "score", *(f"score/{name}" for name in classes))
        self._multi_label = multi_label
        self._uncertain = 0

    def _add(self, prediction: Prediction) -> tuple[list[list[Any]], dict[str, float]]:
        scores = prediction.scores
        if not scores:  # of a task from another plugin
            return [], {}
        labels, best = predicted_labels(scores, self._multi_label), max(scores.values())
        self._found.update(labels)
        self._uncertain += best < THRESHOLD and not self._multi_label
        cells = ["; ".join(labels), round(best, 6), *(round(scores[name], 6) for name in self._classes)]
        return [cells], {name: scores[name] for name in labels}

    def _summary(self) -> str:
        none = f"{self._empty} without a label" if self._empty else ""
        doubt = f"; {self._uncertain} with a score below {THRESHOLD:g}" if self._uncertain else ""
        return ", ".join(filter(None, (self._counts(), none))) + doubt


class ObjectTable(PredictionTable):
    """Objects with a score of at least ``min_score``: a row for each, and an empty one for an image without."""

    columns = ("label", "score", "xmin", "ymin", "xmax", "ymax")

    def __init__(self, classes: Sequence[str], min_score: float) -> None:
        super().__init__(classes)
        self._min_score = min_score
        self._highest = 0.0

    def _add(self, prediction: Prediction) -> tuple[list[list[Any]], dict[str, float]]:
        objects = [item for item in prediction.objects if item.score >= self._min_score]
        self._found.update(item.label for item in objects)
        self._highest = max([self._highest, *(item.score for item in prediction.objects)])
        best = {item.label: item.score for item in reversed(objects)}  # sorted by descending score
        return [[item.label, round(item.score, 6), *(round(side, 3) for side in item.box)] for item in objects], best

    def _summary(self) -> str:
        at_least = f"with a score of at least {self._min_score:g}"
        if not self._found:
            return f"no object {at_least}; the highest score is {self._highest:.2g}"
        none = f"; none in {self._empty}" if self._empty else ""
        return f"{counted(self._found.total(), 'object')} {at_least} ({self._counts()}){none}"


class AreaTable(PredictionTable):
    """Areas of a semantic mask: a row for each class in an image, and an empty one for an image without."""

    columns = ("label", "pixels", "share")
    measure = "share of the image"

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self._shares: Counter[str] = Counter()

    def _add(self, prediction: Prediction) -> tuple[list[list[Any]], dict[str, float]]:
        mask = prediction.semantic_mask
        assert mask is not None
        shares = area_shares(mask, self._classes)
        self._found.update(list(shares))
        self._shares.update(shares)
        return [[name, round(share * mask.size), round(share, 6)] for name, share in shares.items()], shares

    def _summary(self) -> str:
        shares = {name: 100 * share / self._predictions for name, share in self._shares.items()}
        found = self._listed(f"{_shown(name)} in {count} ({shares[name]:.1f} % of the area)"
                             for name, count in self._found.most_common())
        return ", ".join(filter(None, (found, f"nothing in {self._empty}" if self._empty else "")))


def _shown(name: str) -> str:
    """A class beside a number: not ``13 1``."""
    return repr(name) if name[:1].isdigit() else name


def table_for(first: Prediction, classes: Sequence[str], *, multi_label: bool, min_score: float) -> PredictionTable:
    """The table for predictions like ``first``."""
    if first.scores:
        return LabelTable(classes, multi_label)
    return ObjectTable(classes, min_score) if first.semantic_mask is None else AreaTable(classes)
