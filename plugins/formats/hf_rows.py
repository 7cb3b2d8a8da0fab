"""The columns of Hugging Face data sets: labels, and objects with boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sightsmith.plugin import Object, Problem, read_integer, read_numbers
from sightsmith.plugins.formats.tool_dataset import Place

LABELS = ("label", "labels", "class", "classes", "category", "categories")
OBJECTS = ("objects", "annotations")
BOXES = ("bbox", "bboxes", "boxes")
CATEGORIES = ("category", "categories", "label", "labels", "class", "classes", "category_id")


@dataclass(frozen=True)
class Columns:
    """Where a row has its labels (a column) and its boxes (a column of objects; "" if the row itself is that)."""

    labels: str | None
    objects: str | None


def choose_columns(columns: Iterable[str], names: Mapping[str, tuple[str, ...]]) -> Columns:
    """``names`` are the classes of each column that has numbered ones."""
    found = list(columns)
    objects = next((column for column in found if column.lower() in OBJECTS), None)
    if objects is None and any(column.lower() in BOXES for column in found):
        return Columns(None, "")
    usual = [column for name in LABELS for column in found if column.lower() == name]
    numbered = [column for column in found if column in names and column != objects]
    return Columns(next(iter([*usual, *numbered]), None), objects)


class RowReader:
    """Reads rows; ``problems`` grows meanwhile. ``names`` are the classes of each column that has numbered ones."""

    def __init__(self, columns: Columns, names: Mapping[str, tuple[str, ...]], problems: list[Problem]) -> None:
        self._columns, self._names, self._problems = columns, names, problems
        self.numbered: set[str] = set()
        """The classes that are numbers, whose names nothing says."""

    def read(self, row: Mapping[str, Any], place: Place) -> tuple[list[str], list[Object]]:
        """The labels and the objects of a row."""
        labels: list[str] = []
        try:
            if self._columns.labels is not None:
                value = row.get(self._columns.labels)
                values = value if isinstance(value, list) else [] if value is None else [value]
                labels = [self._class(value, self._columns.labels) for value in values]
        except ValueError as error:
            self._problems.append(place.problem(str(error)))
        return labels, self._objects(row, place) if self._columns.objects is not None else []

    def _objects(self, row: Mapping[str, Any], place: Place) -> list[Object]:
        column = self._columns.objects or ""
        content = row.get(column) if column else row
        if isinstance(content, list):  # a list of objects instead of lists of their boxes and categories
            found = [_named(item) if isinstance(item, dict) else (None, None) for item in content]
            boxes, categories = [box for box, _ in found], [category for _, category in found]
        else:
            boxes, categories = _named(content) if isinstance(content, Mapping) else ([], [])
        if not isinstance(boxes, list) or not isinstance(categories, list) or len(boxes) != len(categories):
            if boxes is not None or categories is not None:
                self._problems.append(place.problem("has not equally many boxes and categories"))
            return []
        objects = []
        for number, (box, category) in enumerate(zip(boxes, categories, strict=True), 1):
            here = place.below(f"object {number}")
            try:
                label = self._class(category, column)
            except ValueError as error:
                self._problems.append(here.problem(str(error)))
                continue
            sides = read_numbers(box, 4)
            if sides is None:
                self._problems.append(here.problem(f"the box {str(box)[:60]} is not four numbers [x, y, width, height]",
                                                   affects="boxes"))
                continue
            x, y, width, height = sides
            objects.append(Object(label, (x, y, x + width, y + height), line=place.line, source_id=here.entry))
        return objects

    def _class(self, value: Any, column: str) -> str:
        """Raises ValueError."""
        number, names = read_integer(value), self._names.get(column)
        if number is not None and names is not None:
            if not 0 <= number < len(names):
                raise ValueError(f"the class {number} is not one of the {len(names)} of {column!r}")
            return names[number]
        if number is not None:
            self.numbered.add(str(number))
            return str(number)
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{str(value)[:40]!r} is not a class")
        return value.strip()


def _named(content: Mapping[str, Any]) -> tuple[Any, Any]:
    """What the box and the category of one or of many objects are called."""
    boxes = next((value for key, value in content.items() if key.lower() in BOXES), None)
    return boxes, next((content[key] for name in CATEGORIES for key in content if key.lower() == name), None)
