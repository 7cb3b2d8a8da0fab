"""COCO JSON: boxes, polygons and run lengths; the categories of an image are its labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    ImageFinder,
    ImageFrame,
    Object,
    Problem,
    Sample,
    Split,
    counted,
    files_in,
    listed,
    read_head,
    read_id,
    read_json,
    read_size,
    relative_name,
    richest,
    split_of,
    subfolders,
    walk_files,
)
from sightsmith.plugins.formats.coco_objects import read_object
from sightsmith.plugins.formats.splits import with_split

HEAD = 4096
PROBED = 20
"""JSON files of a folder that are looked into."""
KEYS = ("images", "annotations", "categories")
FOLDERS = ("", "images", "data")
"""Where the paths of images begin, below the data set's folder."""


class Coco:
    """One JSON, or one per split (``instances_train2017.json``, ``birds_val.json``, ``valid/_annotations.coco.json``,
    optionally one of the test). Where they name no split, the folders of the images do.

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
        for path, split in _splits(files, root, problems).items():
            content, problem = read_json(path, root)
            if problem is not None:
                problems.append(problem)
                continue
            if split == "test" and isinstance(content, dict) and "annotations" not in content:
                problems.append(Problem("has no annotations and is ignored", file=relative_name(path, root),
                                        severity="warning"))
                continue
            found = CocoFile(path, root, content, problems)
            classes |= dict.fromkeys(found.categories.values())
            samples += found.samples(split)
            without_shape += found.without_shape
        if not any(sample.split for sample in samples):
            samples = with_split(samples, root, problems)
        multi_label = any(len(sample.labels) != 1 for sample in samples)
        annotation = richest(sample.objects for sample in samples)
        if without_shape and annotation != "labels":
            problems.append(Problem(f"{counted(len(without_shape), 'annotation has', 'annotations have')} neither a "
                                    f"bbox nor a segmentation: "
                                    f"{listed(without_shape)}",
                                    affects="boxes"))
        return DatasetIndex(root, "coco", tuple(classes), tuple(samples), multi_label, tuple(problems), annotation)


def _annotation_files(root: Path) -> list[Path]:
    found = []
    for folder in (root, *subfolders(root, root)):
        for path in [path for path in files_in(folder) if path.suffix.lower() == ".json"][:PROBED]:
            # In a large file the other keys may come at the end, after a long list of images.
            ends = read_head(path, root, HEAD, end=True)
            if sum(f'"{key}"' in ends for key in KEYS) >= 2 and '"shapes"' not in ends and '"items"' not in ends:
                found.append(path)
    return found


def _splits(files: list[Path], root: Path, problems: list[Problem]) -> dict[Path, Split | None]:
    """The split of each of ``files``, by its name or its folder's; None unless they name training and validation, or
    one of several the test."""
    splits = {path: split_of(path.stem, of_file=True) or (split_of(path.parent.name) if path.parent != root else None)
              for path in files}
    if {"train", "validation"} <= set(splits.values()):
        for path in [path for path, split in splits.items() if split is None]:
            problems.append(Problem("is not named after training, validation or test, as the files next to it are, and "
                                    "is ignored", file=relative_name(path, root), severity="warning"))
            del splits[path]
        return splits
    return {path: split if split == "test" and len(files) > 1 else None for path, split in splits.items()}


class CocoFile:
    """One annotation file: its categories by id, its samples, and the annotations without a box or mask."""

    def __init__(self, path: Path, root: Path, content: Any, problems: list[Problem]) -> None:
        self._root, self._problems = root, problems
        self._name = relative_name(path, root)
        last = path.stem.rsplit("_", 1)[-1]
        self._finder = ImageFinder(root, (*FOLDERS, last, f"images/{last}", split_of(path.stem, of_file=True) or "",
                                          relative_name(path.parent, root)))
        if not isinstance(content, dict):
            self._add_problem("is not a COCO file: it is not a JSON object")
        self._parts = {key: self._entries(content, key) if isinstance(content, dict) else [] for key in KEYS}
        self.without_shape: list[str] = []
        self.categories: dict[int | str, str] = {}
        for category in self._parts["categories"]:
            number, name = read_id(category.get("id")), category.get("name")
            name = str(name).strip() if isinstance(name, (str, int)) and not isinstance(name, bool) else ""
            if number is None or not name:
                self._add_problem(f"a category lacks an id or a name: {str(category)[:80]}")
                if number is not None:
                    self.categories.setdefault(number, str(number))
            elif number in self.categories:
                self._add_problem(f"the category id {number} is duplicated")
            elif name in self.categories.values():
                self._add_problem(f"the category name {name!r} is duplicated")
                self.categories[number] = name
            else:
                self.categories[number] = name

    def _entries(self, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """The objects in the list ``key``."""
        entries = content.get(key)
        if not isinstance(entries, list):
            self._add_problem(f"has no list {key!r}")
            return []
        found = [entry for entry in entries if isinstance(entry, dict)]
        if len(found) < len(entries):
            wrong = next(entry for entry in entries if not isinstance(entry, dict))
            self._add_problem(f"{len(entries) - len(found)} entries of {key!r} are not JSON objects, such as "
                              f"{str(wrong)[:40]!r}")
        return found

    def samples(self, split: Split | None) -> list[Sample]:
        images: dict[int | str, tuple[ImageFrame, dict[str, Any]]] = {}
        places: set[ImageFrame] = set()
        labels: dict[int | str, set[str]] = {}
        for image in self._parts["images"]:
            number, text = read_id(image.get("id")), image.get("file_name")
            if number is None or not isinstance(text, str):
                self._add_problem(f"an image lacks an id or a file_name: {str(image)[:80]}")
            elif number in labels:
                self._add_problem(f"the image id {number} is duplicated")
            else:
                labels[number] = set()
                place = self._find(text)
                if place in places:
                    self._add_problem(f"the image {text!r} is duplicated")
                elif place is not None:
                    places.add(place)
                    images[number] = place, image
        self._problems += self._finder.problems(self._name)
        objects = self._objects(labels)
        order = {name: number for number, name in enumerate(self.categories.values())}
        return [Sample(path, relative_name(path, self._root), tuple(sorted(labels[number], key=order.__getitem__)),
                       frame=frame, split=split, file=self._name, objects=tuple(objects[number]),
                       size=read_size((image.get("width"), image.get("height"))))
                for number, ((path, frame), image) in images.items()]

    def _objects(self, labels: dict[int | str, set[str]]) -> dict[int | str, list[Object]]:
        """The objects by the id of their image; ``labels`` of the known images are filled."""
        objects: dict[int | str, list[Object]] = defaultdict(list)
        sizes = {read_id(image.get("id")): read_size((image.get("width"), image.get("height")))
                 for image in self._parts["images"]}
        for annotation in self._parts["annotations"]:
            number, category = read_id(annotation.get("image_id")), read_id(annotation.get("category_id"))
            source_id = f"annotation {annotation.get('id', '')}".rstrip()
            if number is None or number not in labels:
                self._add_reference(source_id, "image", number, "images")
            elif category is None or category not in self.categories:
                self._add_reference(source_id, "category", category, "categories")
            else:
                labels[number].add(self.categories[category])
                item, faults = read_object(annotation, self.categories[category], source_id, sizes[number])
                self._problems += [replace(fault, file=self._name) for fault in faults]
                if item is not None:
                    objects[number].append(item)
                elif not faults:
                    self.without_shape.append(f"{source_id} of {self._name}")
        return objects

    def _find(self, text: str) -> ImageFrame | None:
        try:
            return self._finder.find_frame(text)
        except ValueError as error:
            self._add_problem(*error.args)
            return None

    def _add_reference(self, source_id: str, what: str, number: int | str | None, key: str) -> None:
        """A problem of an annotation that refers to none of the entries ``key``, unless that is told of all: there are
        none."""
        if self._parts[key]:
            self._add_problem(f"the {source_id} refers to the {what} id {number}, which is not in {key!r}")

    def _add_problem(self, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(message, file=self._name, hint=hint))
