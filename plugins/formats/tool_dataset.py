"""What the files of an annotation tool say, as a data set: every image once, its classes, and its own split."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sightsmith.plugin import (
    Annotation,
    DatasetIndex,
    ImageFinder,
    ImageFrame,
    Object,
    Problem,
    Sample,
    Split,
    counted,
    listed,
    natural_order,
    relative_name,
    richest,
)
from sightsmith.plugins.formats.shapes import with_masks
from sightsmith.plugins.formats.splits import with_split

FOLDERS = ("", "images", "data")
"""Where the paths of images begin, below the data set's folder."""


@dataclass(frozen=True)
class Place:
    """Where something stands: in a line of a file, or in an entry of it ("image 3", "entry 7, annotation 2")."""

    file: str
    entry: str = ""
    line: int | None = None

    def problem(self, message: str, hint: str | None = None, affects: Annotation = "labels",
                severity: Literal["error", "warning"] = "error") -> Problem:
        return Problem(f"{self.entry}: {message}" if self.entry else message, file=self.file, line=self.line, hint=hint,
                       affects=affects, severity=severity)

    def below(self, entry: str) -> Place:
        return replace(self, entry=f"{self.entry}, {entry}" if self.entry else entry)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line is not None else f"{self.file} ({self.entry})"


class ToolDataset:
    """Collects the images of a data set in the format ``name``; ``problems`` grows meanwhile."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.problems = root, list[Problem]()
        self._name, self._finder = name, ImageFinder(root, FOLDERS)
        self._samples: dict[str, Sample] = {}
        self._files = set[str]()
        self._places: dict[str, Place] = {}
        self._classes: dict[str, None] = {}

    @property
    def images(self) -> Container[str]:
        """The names of the files of the images so far."""
        return self._files

    def declare(self, classes: Iterable[str]) -> None:
        """``classes`` come first in the data set, in this order; others follow in natural order."""
        self._classes |= dict.fromkeys(classes)

    def find(self, text: Any, place: Place, first: Iterable[Path] = (), others: Iterable[str] = (),
             ) -> ImageFrame | None:
        """The image that ``text`` names, or else one of ``others``; None with a problem if there is none."""
        if not isinstance(text, str):
            self.problems.append(place.problem("names no image", "write the path of its image"))
            return None
        folders, fault = list(first), None
        for name in (text, *others):
            try:
                return self._finder.find_frame(name, folders)
            except ValueError as error:
                fault = fault or error
        assert fault is not None
        message, hint = (*fault.args, "add the image, or remove the entry")[:2]
        self.problems.append(place.problem(message, hint))
        return None

    def add(self, image: ImageFrame, place: Place, labels: Iterable[str], objects: Iterable[Object] = (),
            size: tuple[int, int] | None = None, split: Split | None = None, name: str = "") -> None:
        """An image that the file describes; its labels are ``labels`` and those of ``objects``. One that was inside the
        file has a ``name``, others their path."""
        key, items = name or image.name(self.root), tuple(objects)
        if key in self._samples:
            self.problems.append(place.problem(f"refers to the image {key}, as does {self._places[key]}",
                                               "remove one of them"))
            return
        self._places[key] = place
        name = name or relative_name(image.path, self.root)
        self._files.add(name)
        found = tuple(dict.fromkeys([*labels, *(item.label for item in items)]))
        self._samples[key] = Sample(image.path, name, found, image.frame, file=place.file, line=place.line,
                                    objects=items, size=size, split=split)

    def index(self, *, relative: bool = False) -> DatasetIndex:
        """Single-label if every image has exactly one label. If any object has a mask, boxes become masks too."""
        self.problems += self._finder.problems()
        others = {label for sample in self._samples.values() for label in sample.labels} - self._classes.keys()
        classes = (*self._classes, *sorted(others, key=natural_order))
        order = {name: number for number, name in enumerate(classes)}
        samples = [replace(sample, labels=tuple(sorted(sample.labels, key=order.__getitem__)))
                   for sample in self._samples.values()]
        annotation = richest(sample.objects for sample in samples)
        if annotation == "masks":
            samples = [with_masks(sample) for sample in samples]
        samples = self._split(samples)
        multi_label = any(len(sample.labels) != 1 for sample in samples)
        return DatasetIndex(self.root, self._name, classes, tuple(samples), multi_label, tuple(self.problems),
                            annotation, relative)

    def _split(self, samples: list[Sample]) -> list[Sample]:
        """By the annotation; where it names no split, by the images' folders."""
        stated = {sample.split for sample in samples}
        if stated <= {None}:
            return with_split(samples, self.root, self.problems)
        if not stated >= {"train", "validation"}:
            return [replace(sample, split="test" if sample.split == "test" and len(stated) > 1 else None)
                    for sample in samples]
        if outside := [sample.name for sample in samples if sample.split is None]:
            self.problems.append(Problem(f"{counted(len(outside), 'image is', 'images are')} in no split and ignored: "
                                         f"{listed(outside)}", severity="warning"))
        return [sample for sample in samples if sample.split is not None]
