"""``label.csv``: a table without a header, of labels, boxes or masks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sightsmith.plugin import (
    Annotation,
    DatasetIndex,
    FormatMatch,
    ImageFinder,
    ImageFrame,
    Object,
    Problem,
    Sample,
    counted,
    is_image,
    listed,
    natural_order,
    relative_name,
    walk_files,
)
from sightsmith.plugins.formats.label_csv_objects import read_object
from sightsmith.plugins.formats.label_csv_table import Row, read_rows
from sightsmith.plugins.formats.splits import with_split

FILES = ("label.csv", "labels.csv")
OLDER_FOLDER = "image"
ANNOTATIONS: dict[int, Annotation] = {2: "labels", 3: "labels", 5: "masks", 6: "boxes"}
"""The annotation of a table, by its number of columns."""


@dataclass
class _Image:
    """The rows of one image: by label the row, and by the cells of a row its object."""

    place: ImageFrame
    line: int
    labels: dict[str, Row] = field(default_factory=dict)
    objects: dict[tuple[str, ...], Object] = field(default_factory=dict)


class LabelCsv:
    """The number of columns decides what a table holds (see :data:`label_csv_table.COLUMNS`): labels, one row per
    image and class; boxes, one row per box; masks, one row per image and class.

    A row with only a path is an image without labels or objects. Paths are relative to the root; older data
    sets keep images in ``image/`` and may omit the extension. Images without a row are ignored. The folders of the
    images name the split.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        table = _table(root)
        return FormatMatch(0.96, f"a table {table.name}") if table else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        table = _table(root)
        problems: list[Problem] = []
        if table is None:
            problems.append(Problem(f"there is no file {FILES[0]}", hint=f"add {FILES[0]} to {root}"))
            return DatasetIndex(root, "label_csv", (), (), problems=tuple(problems))
        columns, rows = read_rows(table, root, problems)
        finder = ImageFinder(root, ("", OLDER_FOLDER))
        images: dict[str, _Image] = {}
        faulty: set[int] = set()
        for row in rows:
            try:
                place = finder.find_frame(row.path)
                image = images.setdefault(place.name(root), _Image(place, row.line))
                if row.label is not None:
                    _add(image, row)
            except ValueError as error:
                message, hint = (*error.args, None)[:2]
                problems.append(Problem(message, file=table.name, line=row.line, hint=hint))
                faulty.add(row.line)
        problems += finder.problems(table.name)
        classes = tuple(sorted({label for image in images.values() for label in image.labels}, key=natural_order))
        samples = []
        for image in images.values():
            labels = tuple(label for label in classes if label in image.labels
                           and (columns != 3 or image.labels[label].values == ("1",)))
            if columns == 2 and not labels:
                if image.line not in faulty:
                    problems.append(Problem("the image has no class and is ignored", file=table.name, line=image.line,
                                            severity="warning"))
                continue
            path, frame = image.place
            samples.append(Sample(path, relative_name(path, root), labels, frame, file=table.name, line=image.line,
                                  objects=tuple(image.objects.values())))
        if columns == 3:
            _about_missing(images, classes, problems)
        _about_unlisted(root, images, problems)
        samples = with_split(samples, root, problems)
        return DatasetIndex(root, "label_csv", classes, tuple(samples), columns == 3, tuple(problems),
                            ANNOTATIONS[columns])


def _table(root: Path) -> Path | None:
    return next((root / name for name in FILES if os.path.isfile(root / name)), None)


def _add(image: _Image, row: Row) -> None:
    """Raises ValueError with the reason, and a hint if there is one."""
    label = row.label
    if not label:
        raise ValueError("the class is empty")
    if row.columns > 3:
        item, content = read_object(row), (label, *row.values)
        if content in image.objects:
            raise ValueError(f"the row duplicates line {image.objects[content].line}")
        if row.columns == 5 and label in image.labels:
            raise ValueError(f"{row.path!r} already has a mask for the class {label!r} in line "
                             f"{image.labels[label].line}", "an image has one mask per class: merge them")
        image.objects[content] = item
        image.labels.setdefault(label, row)
        return
    if row.columns == 3 and row.values not in (("0",), ("1",)):
        raise ValueError(f"the third column is {row.values[0]!r}; it must be 0 or 1")
    if label in image.labels:
        first = image.labels[label]
        raise ValueError(f"the row duplicates line {first.line}" if first.values == row.values else
                         f"{row.path!r} is {first.values[0]} for class {label!r} in line {first.line} and "
                         f"{row.values[0]} here")
    if image.labels and row.columns == 2:
        (other, first), = image.labels.items()
        raise ValueError(f"{row.path!r} has the class {other!r} in line {first.line} and {label!r} here",
                         "keep one; for several classes per image, write path,class,0|1")
    image.labels[label] = row


def _about_missing(images: dict[str, _Image], classes: tuple[str, ...], problems: list[Problem]) -> None:
    short = [name for name, image in images.items() if image.labels and len(image.labels) < len(classes)]
    if short:
        problems.append(Problem(f"{counted(len(short), 'image has', 'images have')} no row for some classes, "
                                f"which are read as 0: {listed(short)}", severity="warning"))


def _about_unlisted(root: Path, images: dict[str, _Image], problems: list[Problem]) -> None:
    listed_files = {image.place.path for image in images.values()}
    unlisted = [relative_name(path, root) for path in walk_files(root)
                if is_image(path) and path not in listed_files]
    if unlisted and images:
        problems.append(Problem(f"{counted(len(unlisted), 'image has no row and is', 'images have no row and are')} "
                                f"ignored: {listed(unlisted)}", severity="warning"))
