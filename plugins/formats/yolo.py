"""YOLO: a ``data.yaml`` with classes and folders, and a label file of boxes or polygons per image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Object,
    Polygons,
    Problem,
    Sample,
    Split,
    contained_path,
    images_in,
    listed,
    read_numbers,
    read_text,
    relative_name,
    richest,
    walk_files,
)
from sightsmith.plugins.formats.splits import with_split
from sightsmith.plugins.formats.yolo_yaml import CLASSES, DataFile, data_file, read_data_file

IMAGES, LABELS = "images", "labels"
MAX_FRACTION = 2
"""Larger coordinates must be pixels instead of fractions of the image's size."""


class Yolo:
    """``data.yaml`` with ``names`` and the folders (or lists) ``train`` and ``val``; or ``images/`` and
    ``labels/`` with a ``classes.txt``.

    The label file of an image in ``images/`` is in ``labels/``; otherwise it is next to the image. A row is
    ``class cx cy width height`` or ``class x y x y x y ...``, in fractions of the image's width and
    height. An image without a label file is a negative.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        path = data_file(root)
        if path is not None:
            return FormatMatch(0.97, f"{path.name} lists classes and folders, as in YOLO")
        texts = (path for path in walk_files(root) if path.suffix == ".txt" and LABELS in path.relative_to(root).parts[:-1])
        if next(texts, None) and any(_label_file(image, root).is_file() for image in images_in(root, root)):
            return FormatMatch(0.93, f"folders {IMAGES}/ and {LABELS}/ with a label file per image, as in YOLO")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        data = read_data_file(root, problems)
        splits: dict[Path, Split | None] = {}
        for split, places in data.splits.items():
            for image in (image for place in places for image in _images_of(place, root, problems)):
                if splits.setdefault(image, split) != split:
                    problems.append(Problem(f"is in both {splits[image]} and {split}", file=relative_name(image, root),
                                            hint="remove it from one"))
        if data.splits:
            complete = {"train", "validation"} <= data.splits.keys()
            samples = [replace(_sample(image, root, data, problems),
                               split=split if complete or split == "test" else None)
                       for image, split in splits.items()]
        else:
            samples = with_split([_sample(image, root, data, problems) for image in images_in(root, root)], root,
                                 problems)
        missing = [sample.name for sample in samples if sample.file is None]
        if missing and len(missing) < len(samples):
            problems.append(Problem(f"{len(missing)} images have no label file in {LABELS}/ and are read as images "
                                    f"without objects: {listed(missing)}", severity="warning"))
        elif missing:
            problems.append(Problem(f"no image has a label file in {LABELS}/ or next to it",
                                    hint=f"the label file of {IMAGES}/x/1.jpg is {LABELS}/x/1.txt"))
        return DatasetIndex(root, "yolo", tuple(data.names.values()), tuple(samples), problems=tuple(problems),
                            annotation=richest(sample.objects for sample in samples), relative=True)


def _images_of(place: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    """The images in a folder, or those listed in a text file, relative to the root."""
    if place.is_dir():
        yield from images_in(place, root)
        return
    text, problem = read_text(place, root)
    problems += [problem] if problem else []
    for number, line in enumerate((text or "").splitlines(), 1):
        if line.strip():
            path, reason = contained_path(root, line)
            if path is not None and path.is_file():
                yield root / line.strip()
            else:
                problems.append(Problem(reason or f"there is no image {line.strip()!r}", file=relative_name(place, root),
                                        line=number, hint="paths are relative to the data set's folder"))


def _label_file(image: Path, root: Path) -> Path:
    parts = list(image.relative_to(root).parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == IMAGES:
            mirrored = root.joinpath(*parts[:place], LABELS, *parts[place + 1:]).with_suffix(".txt")
            if mirrored.is_file():
                return mirrored
            break
    return image.with_suffix(".txt")


def _sample(image: Path, root: Path, data: DataFile, problems: list[Problem]) -> Sample:
    path, name = _label_file(image, root), relative_name(image, root)
    if not path.is_file():
        return Sample(image, name)
    file = relative_name(path, root)
    text, problem = read_text(path, root)
    problems += [problem] if problem else []
    objects, labels = [], set()
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        try:
            label = _label(line.split()[0], data)
            labels.add(label)
        except ValueError as error:
            problems.append(Problem(str(error), file=file, line=number))
            continue
        try:
            objects.append(_object(label, line.split()[1:], number))
        except ValueError as error:
            problems.append(Problem(str(error), file=file, line=number, affects="boxes",
                                    hint="a row is class cx cy width height, or class x y x y x y ..."))
    return Sample(image, name, tuple(label for label in data.names.values() if label in labels), file=file,
                  objects=tuple(objects))


def _label(text: str, data: DataFile) -> str:
    if not re.fullmatch(r"\d{1,9}(\.0+)?", text):
        raise ValueError(f"the class {text[:40]!r} is not a whole number")
    label = data.names.get(int(float(text)))
    if label is None:
        raise ValueError(f"the class {text} is not one of the {len(data.names)} in {data.file or CLASSES}")
    return label


def _object(label: str, cells: list[str], line: int) -> Object:
    """Raises ValueError."""
    values = read_numbers(cells)
    if values is None:
        raise ValueError("a coordinate is not a number")
    if len(values) < 6 and len(values) != 4 or len(values) % 2:
        raise ValueError(f"the row has {len(values) + 1} columns")
    if any(abs(value) > MAX_FRACTION for value in values):
        raise ValueError(f"{max(values, key=abs):g} is not a fraction of the image's size; is it in pixels?")
    if len(values) == 4:
        x, y, width, height = values
        return Object(label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), line=line)
    polygon = Polygons((values,))
    return Object(label, polygon.extent(), polygon, line=line)
