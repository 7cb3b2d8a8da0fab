"""LabelMe: one JSON per image, with its shapes and flags."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    IMAGE_SUFFIXES,
    DatasetIndex,
    FormatMatch,
    Problem,
    Sample,
    cache_dir,
    contained_path,
    is_inside,
    natural_order,
    read_json,
    relative_name,
    richest,
    walk_files,
    write_atomic,
)
from sightsmith.plugins.formats.labelme_shapes import as_masks, image_size, read_shapes

PROBED = 5
HEAD = 65536


class LabelMe:
    """The labels of an image are those of its ``shapes`` and the ``flags`` that are set.

    Single-label if every image has exactly one label, else multi-label. Every shape is a separate object;
    ``group_id`` is ignored. If all shapes are rectangles, the data set has boxes; else it has masks, and
    rectangles become masks too. ``imagePath`` is relative to the JSON; if there is no such file, the
    embedded ``imageData`` is used. An image without labels is a negative.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in walk_files(root) if path.suffix.lower() == ".json"]
        for path in found[:PROBED]:
            try:
                with path.open("rb") as stream:
                    head = stream.read(HEAD)
            except OSError:
                continue
            if b'"shapes"' in head or b'"imagePath"' in head:
                return FormatMatch(0.85, f"{len(found)} LabelMe JSON files")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        samples: dict[str, Sample] = {}
        for path in walk_files(root):
            if path.suffix.lower() == ".json":
                sample = self._sample(path, root, problems)
                if sample is None:
                    continue
                if sample.name in samples:
                    problems.append(Problem(f"refers to the image {sample.name}, as does {samples[sample.name].file}",
                                            file=sample.file))
                else:
                    samples[sample.name] = sample
        classes = tuple(sorted({label for sample in samples.values() for label in sample.labels}, key=natural_order))
        multi_label = any(len(sample.labels) != 1 for sample in samples.values())
        annotation = richest(sample.objects for sample in samples.values())
        found = [as_masks(sample) if annotation == "masks" else sample for sample in samples.values()]
        return DatasetIndex(root, "labelme", classes, tuple(found), multi_label, tuple(problems), annotation)

    def _sample(self, path: Path, root: Path, problems: list[Problem]) -> Sample | None:
        name = relative_name(path, root)
        content, problem = read_json(path, root)
        if problem is not None:
            problems.append(problem)
            return None
        if not isinstance(content, dict) or not isinstance(content.get("shapes", []), list) or not (
                "shapes" in content or "imagePath" in content):
            problems.append(Problem("is not a LabelMe file: the list 'shapes' is missing", file=name))
            return None
        labels = _labels(content, name, problems)
        objects, faults = read_shapes(content, name)
        problems += faults
        image = _image(path, root, content, name, problems)
        if image is None:
            return None
        file = image if image.is_file() else _embedded(content, image, name, problems)
        return Sample(file, relative_name(image, root), labels, file=name, objects=objects, size=image_size(content)) \
            if file else None


def _labels(content: dict[str, Any], name: str, problems: list[Problem]) -> tuple[str, ...]:
    found = set()
    for number, shape in enumerate(content.get("shapes") or [], 1):
        label = shape.get("label") if isinstance(shape, dict) else None
        if isinstance(label, str) and label.strip():
            found.add(label.strip())
        else:
            problems.append(Problem(f"shape {number} has no label", file=name, hint="name it in LabelMe"))
    flags = content.get("flags") or {}
    if isinstance(flags, dict):
        found |= {str(flag) for flag, is_set in flags.items() if is_set is True}
    return tuple(sorted(found, key=natural_order))


def _image(path: Path, root: Path, content: dict[str, Any], name: str, problems: list[Problem]) -> Path | None:
    """The path of ``imagePath`` below ``root``; the file may be missing."""
    text = content.get("imagePath")
    if not isinstance(text, str) or not text.strip():
        problems.append(Problem("has no imagePath", file=name))
        return None
    text = text.strip().replace("\\", "/")
    image = path.parent / text
    # LabelMe writes ../images/x.jpg if the JSON is in another folder; allowed as long as it stays in the data set.
    if text.startswith("/") or "\0" in text or not is_inside(root, image):
        _, reason = contained_path(root, text)
        problems.append(Problem(reason or "imagePath is outside the data set's folder", file=name))
        return None
    return root.resolve() / image.resolve().relative_to(root.resolve())


def _embedded(content: dict[str, Any], image: Path, name: str, problems: list[Problem]) -> Path | None:
    """The image of ``imageData`` as a file in the cache: data sets are never modified."""
    data = content.get("imageData")
    if not isinstance(data, str) or not data:
        problems.append(Problem(f"there is no image {content['imagePath']!r}, and imageData is empty", file=name,
                                hint="add the image"))
        return None
    try:
        decoded = base64.b64decode(data, validate=True)
    except ValueError as error:
        problems.append(Problem(f"imageData is damaged: {error}", file=name, hint="add the image itself"))
        return None
    suffix = image.suffix.lower() if image.suffix.lower() in IMAGE_SUFFIXES else ".png"
    path = cache_dir() / "embedded" / f"{hashlib.sha256(decoded).hexdigest()}{suffix}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, decoded)
    return path
