"""LabelMe: one JSON per image, with its shapes and flags."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    IMAGE_SUFFIXES,
    DatasetIndex,
    FormatMatch,
    ImageFinder,
    ImageFrame,
    Problem,
    Sample,
    cache_dir,
    natural_order,
    read_flag,
    read_head,
    read_json,
    relative_name,
    richest,
    walk_files,
    write_atomic,
)
from sightsmith.plugins.formats.labelme_shapes import as_masks, image_size, label_of, read_shapes
from sightsmith.plugins.formats.splits import with_split

PROBED = 5


class LabelMe:
    """The labels of an image are those of its ``shapes`` and the ``flags`` that are set.

    Single-label if every image has exactly one label, else multi-label. Every shape is a separate object;
    ``group_id`` is ignored. If all shapes are rectangles, the data set has boxes; else it has masks, and
    rectangles become masks too. ``imagePath`` is relative to the JSON; if there is no such file, the
    embedded ``imageData`` is used. An image without labels is a negative. The folders of the images name the split.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in walk_files(root) if path.suffix.lower() == ".json"]
        heads = [read_head(path, root) for path in found[:PROBED]]
        if any('"shapes"' in head or '"imagePath"' in head for head in heads):
            return FormatMatch(0.85, f"{len(found)} LabelMe JSON files")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        samples: dict[str, Sample] = {}
        finder = ImageFinder(root)
        for path in walk_files(root):
            if path.suffix.lower() == ".json":
                sample = self._sample(path, root, finder, problems)
                if sample is None:
                    continue
                if sample.image in samples:
                    problems.append(Problem(f"refers to the image {sample.image}, as does {samples[sample.image].file}",
                                            file=sample.file))
                else:
                    samples[sample.image] = sample
        problems += finder.problems()
        classes = tuple(sorted({label for sample in samples.values() for label in sample.labels}, key=natural_order))
        multi_label = any(len(sample.labels) != 1 for sample in samples.values())
        annotation = richest(sample.objects for sample in samples.values())
        found = [as_masks(sample) if annotation == "masks" else sample for sample in samples.values()]
        found = with_split(found, root, problems)
        return DatasetIndex(root, "labelme", classes, tuple(found), multi_label, tuple(problems), annotation)

    def _sample(self, path: Path, root: Path, finder: ImageFinder, problems: list[Problem]) -> Sample | None:
        name = relative_name(path, root)
        content, problem = read_json(path, root)
        if problem is not None:
            problems.append(problem)
            return None
        if not isinstance(content, dict) or not {"shapes", "imagePath"} & content.keys():
            problems.append(Problem("is not a LabelMe file, which has 'shapes' and 'imagePath', and is ignored",
                                    file=name, severity="warning"))
            return None
        if not isinstance(content.get("shapes") or [], list):
            problems.append(Problem("'shapes' is not a list", file=name))
            return None
        labels = _labels(content, name, problems)
        objects, faults = read_shapes(content, name)
        problems += faults
        try:
            (file, frame), shown = _image(path, root, content, finder)
        except ValueError as error:
            message, hint = (*error.args, None)[:2]
            problems.append(Problem(message, file=name, hint=hint or "add the image"))
            return None
        return Sample(file, shown, labels, frame, file=name, objects=objects, size=image_size(content))


def _labels(content: dict[str, Any], name: str, problems: list[Problem]) -> tuple[str, ...]:
    found = set()
    for number, shape in enumerate(content.get("shapes") or [], 1):
        label = label_of(shape)
        if label:
            found.add(label)
        else:
            problems.append(Problem(f"shape {number} has no label", file=name, hint="name it in LabelMe"))
    flags = content.get("flags") or {}
    for flag, value in flags.items() if isinstance(flags, dict) else ():
        is_set = read_flag(value)
        if is_set is None:
            problems.append(Problem(f"the flag {flag!r} is {str(value)[:40]!r}, neither true nor false", file=name))
        elif is_set:
            found.add(str(flag))
    return tuple(sorted(found, key=natural_order))


def _image(path: Path, root: Path, content: dict[str, Any], finder: ImageFinder) -> tuple[ImageFrame, str]:
    """The image of ``imagePath`` and its name; if there is none in the data set, the image of ``imageData``.

    Raises ValueError with the reason, and a hint if there is one.
    """
    text, data = content.get("imagePath"), content.get("imageData")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("has no imagePath")
    try:
        image = finder.find_frame(text, [path.parent])
    except ValueError as error:
        if not isinstance(data, str) or not data:
            raise ValueError(f"{error.args[0]}; imageData is empty", *error.args[1:]) from error
        name = re.split(r"[\\/]", text.strip())[-1]
        return ImageFrame(_embedded(data, Path(name).suffix.lower())), relative_name(path.with_name(name), root)
    return image, relative_name(image.path, root)


def _embedded(data: str, suffix: str) -> Path:
    """The image ``data`` (base64) as a file in the cache: data sets are never modified. Raises ValueError."""
    try:
        decoded = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise ValueError(f"imageData is damaged: {error}", "add the image itself") from error
    name = f"{hashlib.sha256(decoded).hexdigest()}{suffix if suffix in IMAGE_SUFFIXES else '.png'}"
    path = cache_dir() / "embedded" / name
    if not os.path.isfile(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, decoded)
    return path
