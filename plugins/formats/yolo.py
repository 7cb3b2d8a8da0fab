"""YOLO: a ``data.yaml`` with classes and folders, and a label file of boxes or polygons per image."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    ImageFinder,
    Object,
    Polygons,
    Problem,
    Sample,
    Split,
    counted,
    images_in,
    listed,
    read_integer,
    read_numbers,
    read_text,
    relative_name,
    richest,
    walk_files,
)
from sightsmith.plugins.formats.splits import with_split
from sightsmith.plugins.formats.yolo_yaml import CLASSES, DataFile, class_list, data_file, read_data_file

IMAGES, LABELS = "images", "labels"
MAX_FRACTION = 2
"""Larger coordinates must be pixels instead of fractions of the image's size."""
_BY_COMMAS = re.compile(r"[^,;\s]+(\s*[,;]\s*[^,;\s]+)+")
"""A row whose cells are divided by commas alone; with blanks beside them, they would be decimal commas."""


class Yolo:
    """``data.yaml`` with ``names`` and the folders (or lists) ``train`` and ``val``; Darknet's ``obj.data``; or images
    with label files and a ``classes.txt``.

    The label file of an image in ``images/`` is in ``labels/``; otherwise it is next to the image. A row is
    ``class cx cy width height`` or ``class x y x y x y ...``, in fractions of the image's width and
    height. An image without a label file is a negative.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        path = data_file(root)
        if path is not None:
            return FormatMatch(0.97, f"{path.name} lists classes and folders, as in YOLO")
        labels = _Labels(root)
        if (labels.in_folder or class_list(root)) and any(labels.of(image) for image in images_in(root, root)):
            return FormatMatch(0.93, "images with a label file each, as in YOLO")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        data, labels = read_data_file(root, problems), _Labels(root)
        if not data.names:  # every row would be a problem more
            return DatasetIndex(root, "yolo", (), (), problems=tuple(problems), annotation="boxes", relative=True)
        splits: dict[Path, Split | None] = {}
        for split, places in data.splits.items():
            for image in (image for place in places for image in _images_of(place, root, problems)):
                if splits.setdefault(image, split) != split:
                    problems.append(Problem(f"is in both {splits[image]} and {split}", file=relative_name(image, root),
                                            hint="remove it from one"))
        if data.splits:
            complete = {"train", "validation"} <= data.splits.keys()
            samples = [replace(_sample(image, root, labels, data, problems),
                               split=split if complete or split == "test" else None)
                       for image, split in splits.items()]
        else:
            samples = with_split([_sample(image, root, labels, data, problems) for image in images_in(root, root)],
                                 root, problems)
        missing = [sample.name for sample in samples if sample.file is None]
        if missing and len(missing) < len(samples):
            problems.append(Problem(f"{counted(len(missing), 'image has', 'images have')} no label file in {LABELS}/ "
                                    f"and so no objects: {listed(missing)}", severity="warning"))
        elif missing:
            problems.append(Problem(f"no image has a label file in {LABELS}/ or next to it",
                                    hint=f"the label file of {IMAGES}/x/1.jpg is {LABELS}/x/1.txt"))
        return DatasetIndex(root, "yolo", tuple(data.names.values()), tuple(samples), problems=tuple(problems),
                            annotation=richest(sample.objects for sample in samples), relative=True)


def _images_of(place: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    """The images in a folder, or those listed in a text file, relative to the list or the root."""
    if os.path.isdir(place):
        yield from images_in(place, root)
        return
    text, problem = read_text(place, root)
    problems += [problem] if problem else []
    file, finder = relative_name(place, root), ImageFinder(root)
    for number, line in enumerate((text or "").splitlines(), 1):
        if line.strip():
            try:
                yield finder.find(line.strip(), [place.parent])
            except ValueError as error:
                message, hint = (*error.args, None)[:2]
                problems.append(Problem(message, file=file, line=number,
                                        hint=hint or "a line is the path of an image from the data set's folder"))
    problems += finder.problems(file)


class _Labels:
    """The label files below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = {path.with_suffix(""): path for path in walk_files(root) if path.suffix.lower() == ".txt"}

    @property
    def in_folder(self) -> bool:
        """Whether a label file is in a folder ``labels/``."""
        return any(LABELS in path.relative_to(self._root).parts[:-1] for path in self._files)

    def of(self, image: Path) -> Path | None:
        """In ``labels/`` if the image is in ``images/``, else beside the image."""
        parts = list(image.with_suffix("").relative_to(self._root).parts)
        for place in range(len(parts) - 2, -1, -1):
            if parts[place].lower() == IMAGES:
                mirrored = self._root.joinpath(*parts[:place], LABELS, *parts[place + 1:])
                if mirrored in self._files:
                    return self._files[mirrored]
                break
        return self._files.get(image.with_suffix(""))


def _sample(image: Path, root: Path, label_files: _Labels, data: DataFile, problems: list[Problem]) -> Sample:
    path, name = label_files.of(image), relative_name(image, root)
    if path is None:
        return Sample(image, name)
    file = relative_name(path, root)
    text, problem = read_text(path, root)
    problems += [problem] if problem else []
    objects, labels = [], set()
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip():
            continue
        row = line.replace(",", " ").replace(";", " ") if _BY_COMMAS.fullmatch(line.strip()) else line
        try:
            label = _label(row.split()[0], data)
            labels.add(label)
        except ValueError as error:
            problems.append(Problem(str(error), file=file, line=number))
            continue
        try:
            objects.append(_object(label, row.split()[1:], number))
        except ValueError as error:
            problems.append(Problem(str(error), file=file, line=number, affects="boxes",
                                    hint="a row is class cx cy width height, or class x y x y x y ..."))
    return Sample(image, name, tuple(label for label in data.names.values() if label in labels), file=file,
                  objects=tuple(objects))


def _label(text: str, data: DataFile) -> str:
    number = read_integer(text)
    if number is None or number < 0:
        raise ValueError(f"the class {text[:40]!r} is not a whole number")
    label = data.names.get(number)
    if label is None:
        raise ValueError(f"the class {text} is none of the {len(data.names)} in {data.file or CLASSES}, which are "
                         f"numbered from {min(data.names, default=0)} to {max(data.names, default=0)}")
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
