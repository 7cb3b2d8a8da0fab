"""COCO JSON: boxes, polygons and run lengths; the categories of an image are its labels."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Object,
    Problem,
    Sample,
    Split,
    contained_path,
    listed,
    read_json,
    relative_name,
    richest,
    walk_files,
)
from sightsmith.plugins.formats.coco_objects import read_object

HEAD = 4096
KEYS = ("images", "annotations", "categories")


class Coco:
    """One JSON, or one per split (``*train*.json``, ``*val*.json`` and optionally ``*test*.json``).

    The data set has masks if any annotation has a ``segmentation``, else boxes if any has a ``bbox``, else
    labels. As labels it is single-label if every image has exactly one category. An image without
    annotations is a negative.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = _annotation_files(root)
        return FormatMatch(0.9, f"COCO annotation in {', '.join(relative_name(path, root) for path in found)}") \
            if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        samples: list[Sample] = []
        classes: dict[str, None] = {}
        without_shape: list[str] = []
        files = _annotation_files(root) or [path for path in walk_files(root) if path.suffix.lower() == ".json"][:1]
        if not files:
            problems.append(Problem("no COCO JSON was found"))
        splits = {path: _split_of(path) for path in files}
        complete = {"train", "validation"} <= set(splits.values()) and None not in splits.values()
        for path in files:
            content, problem = read_json(path, root)
            if problem is not None:
                problems.append(problem)
                continue
            split = splits[path] if complete or splits[path] == "test" else None
            if split == "test" and isinstance(content, dict) and "annotations" not in content:
                problems.append(Problem("has no annotations and is ignored", file=relative_name(path, root),
                                        severity="warning"))
                continue
            found = _File(path, root, content, problems)
            classes |= dict.fromkeys(found.categories.values())
            samples += found.samples(split)
            without_shape += found.without_shape
        multi_label = any(len(sample.labels) != 1 for sample in samples)
        annotation = richest(sample.objects for sample in samples)
        if without_shape and annotation != "labels":
            problems.append(Problem(f"{len(without_shape)} annotations have neither a bbox nor a segmentation: "
                                    f"{listed(without_shape)}",
                                    affects="boxes"))
        return DatasetIndex(root, "coco", tuple(classes), tuple(samples), multi_label, tuple(problems), annotation)


def _annotation_files(root: Path) -> list[Path]:
    found = []
    for folder in (root, root / "annotations"):
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            with path.open("rb") as stream:
                head = stream.read(HEAD)
                # In a large file the other keys may come at the end, after a long list of images.
                stream.seek(max(path.stat().st_size - HEAD, 0))
                ends = head + stream.read(HEAD)
            if sum(f'"{key}"'.encode() in ends for key in KEYS) >= 2 and b'"shapes"' not in ends:
                found.append(path)
    return found


def _split_of(path: Path) -> Split | None:
    if re.search(r"train", path.stem, re.IGNORECASE):
        return "train"
    if re.search(r"val", path.stem, re.IGNORECASE):
        return "validation"
    return "test" if re.search(r"test", path.stem, re.IGNORECASE) else None


class _File:
    """One annotation file: its categories by id, its samples, and the annotations without a box or mask."""

    def __init__(self, path: Path, root: Path, content: Any, problems: list[Problem]) -> None:
        self._path, self._root, self._problems = path, root, problems
        self._name = relative_name(path, root)
        if not isinstance(content, dict):
            self._add_problem("is not a COCO file: it is not a JSON object")
            content = {}
        else:
            for key in KEYS:
                if not isinstance(content.get(key), list):
                    self._add_problem(f"has no list {key!r}")
        self._parts = {key: [item for item in content.get(key, []) if isinstance(item, dict)]
                       if isinstance(content.get(key), list) else [] for key in KEYS}
        self.without_shape: list[str] = []
        self.categories: dict[Any, str] = {}
        for category in self._parts["categories"]:
            number, name = category.get("id"), category.get("name")
            if not isinstance(number, int) or not isinstance(name, str) or not name:
                self._add_problem(f"a category lacks an id or a name: {str(category)[:80]}")
            elif number in self.categories:
                self._add_problem(f"the category id {number} is duplicated")
            elif name in self.categories.values():
                self._add_problem(f"the category name {name!r} is duplicated")
            else:
                self.categories[number] = name

    def samples(self, split: Split | None) -> list[Sample]:
        images: dict[int, tuple[Path, dict[str, Any]]] = {}
        paths: set[Path] = set()
        labels: dict[int, set[str]] = {}
        for image in self._parts["images"]:
            number, text = image.get("id"), image.get("file_name")
            if not isinstance(number, int) or not isinstance(text, str):
                self._add_problem(f"an image lacks an id or a file_name: {str(image)[:80]}")
            elif number in labels:
                self._add_problem(f"the image id {number} is duplicated")
            else:
                labels[number] = set()
                path = self._find(text)
                if path in paths:
                    self._add_problem(f"the image {text!r} is duplicated")
                elif path is not None:
                    paths.add(path)
                    images[number] = path, image
        objects: dict[int, list[Object]] = defaultdict(list)
        for annotation in self._parts["annotations"]:
            number, category = annotation.get("image_id"), annotation.get("category_id")
            source_id = f"annotation {annotation.get('id', '')}".rstrip()
            if not isinstance(number, int) or number not in labels:
                self._add_problem(f"the {source_id} refers to the image id {number}, which is not in 'images'")
            elif not isinstance(category, int) or category not in self.categories:
                self._add_problem(f"the {source_id} refers to the category id {category}, which is not in 'categories'")
            else:
                labels[number].add(self.categories[category])
                item, faults = read_object(annotation, self.categories[category], source_id)
                self._problems += [replace(fault, file=self._name) for fault in faults]
                if item is not None:
                    objects[number].append(item)
                elif not faults:
                    self.without_shape.append(f"{source_id} of {self._name}")
        order = list(self.categories.values())
        return [Sample(path, relative_name(path, self._root), tuple(sorted(labels[number], key=order.index)), split=split,
                       file=self._name, objects=tuple(objects[number]), size=_size(image))
                for number, (path, image) in images.items()]

    def _find(self, text: str) -> Path | None:
        """Look for the image in the root, ``images/``, a folder named after the JSON, and next to the JSON."""
        last = self._path.stem.rsplit("_", 1)[-1]
        folders = ["", "images", last, f"images/{last}", _split_of(self._path) or "",
                   self._path.parent.relative_to(self._root).as_posix()]
        for folder in dict.fromkeys(folders):
            path, reason = contained_path(self._root / folder, text)
            if path is None:
                self._add_problem(f"image: {reason}")
                return None
            if path.is_file():
                return path
        self._add_problem(f"there is no image {text!r}", "expected in the data set's folder or images/")
        return None

    def _add_problem(self, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(message, file=self._name, hint=hint))


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and width and height else None
