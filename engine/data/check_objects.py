"""The check of objects and masks: inside their image, not empty, not duplicated; every mask is decoded once."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from sightsmith.core.contracts.annotation import Annotation, Box, Object, Polygons, RunLengths
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted
from sightsmith.engine.data.check_orientation import about_orientation
from sightsmith.engine.data.convert import learnt_labels, to_boxes, to_pixels
from sightsmith.engine.data.mask_files import MaskError
from sightsmith.engine.data.masks import IGNORED, MAX_CLASSES, area, class_rows, encoded

TOLERANCE = 1.0
"""Pixels that a box may extend beyond its image as a rounding error."""

DUPLICATE_IOU = 0.95
"""Intersection over union from which two objects of a class count as one object annotated twice."""


@dataclass(frozen=True)
class CheckedObjects:
    """``samples`` in index order, with pixel coordinates inside the image and only the requested annotation;
    ``prints`` are hashes of the annotation by sample key; ``coverage`` is the share of all pixels by class (masks
    only)."""

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    prints: Mapping[str, str]
    coverage: Mapping[str, float]


@dataclass
class _Found:
    """The result of checking one sample. The lists hold places that are reported together."""

    sample: Sample
    problems: list[Problem] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    masks: dict[str, list[RunLengths]] = field(default_factory=lambda: defaultdict(list))
    pixels: Counter[str] = field(default_factory=Counter)
    content: str = ""


def check_objects(index: DatasetIndex, infos: Mapping[str, ImageInfo], annotation: Annotation) -> CheckedObjects:
    """Check the objects and masks of ``index`` as ``annotation``, boxes or masks; ``infos`` are its images by name."""
    def checked(sample: Sample) -> _Found:
        return _check_sample(sample, infos[sample.name], index, annotation)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(checked, index.samples))
    # Once of a volume whose slices all have it.
    problems = list(dict.fromkeys(problem for item in found for problem in item.problems))
    problems += _summed([place for item in found for place in item.clipped],
                        f"box extends up to {TOLERANCE:g} px beyond its image and is clipped",
                        f"boxes extend up to {TOLERANCE:g} px beyond their images and are clipped")
    problems += _summed([place for item in found for place in item.empty], "mask is empty and ignored",
                        "masks are empty and ignored")
    problems += _summed([place for item in found for place in item.duplicates],
                        "object nearly coincides with another of its class",
                        "objects nearly coincide with another of their class", "remove the duplicates")
    problems += _about_origin(index, infos) + _about_corners(index, infos)
    problems += about_orientation(index, infos)
    if annotation == "masks" and len(index.classes) > MAX_CLASSES:
        problems.append(Problem(f"there are {len(index.classes)} classes; a semantic mask holds at most "
                                f"{MAX_CLASSES}", hint="merge or remove classes"))
    pixels: Counter[str] = sum((item.pixels for item in found), Counter())
    total = sum(infos[sample.name].width * infos[sample.name].height for sample in index.samples)
    return CheckedObjects(
        tuple(item.sample for item in found), tuple(problems), {item.sample.key: item.content for item in found},
        {name: pixels[name] / total for name in index.classes} if annotation == "masks" and total else {})


def _check_sample(sample: Sample, info: ImageInfo, index: DatasetIndex, annotation: Annotation) -> _Found:
    width, height = info.width, info.height
    found = _Found(sample)
    if sample.size is not None and sample.size != (width, height):
        swapped = " once its EXIF orientation has turned it upright, as coordinates are" \
            if sample.size == (height, width) else ""
        found.problems.append(Problem(
            f"the annotation belongs to an image of {sample.size[0]} x {sample.size[1]} px, but {sample.name} has "
            f"{width} x {height} px{swapped}", file=sample.file, hint="use the image that was annotated"))
        return found
    if index.relative:
        sample = to_pixels(sample, width, height)
    checked = [_checked(item, sample, width, height, annotation, found) for item in sample.objects]
    sample = replace(sample, objects=tuple(item for item in checked if item is not None))
    rows = []
    if sample.semantic_mask is not None:
        try:
            counts, content = np.zeros(IGNORED + 1, np.int64), hashlib.sha256()
            for numbers in class_rows(sample.semantic_mask, index.classes, height, width):
                counts += np.bincount(numbers.ravel(), minlength=IGNORED + 1)
                content.update(numbers.tobytes())
        except MaskError as error:
            found.problems.append(Problem(str(error), file=sample.semantic_mask.name))
            return found
        found.pixels.update({name: int(counts[number]) for number, name in enumerate(index.classes, 1)})
        rows.append(content.hexdigest())
    found.pixels.update({label: area(found.masks.pop(label)) for label in list(found.masks)})
    sample = to_boxes(sample, width, height) if annotation == "boxes" else sample
    found.sample = sample = replace(sample, labels=learnt_labels(sample))
    _check_duplicates(sample, found)
    rows += [f"{item.label}\0{item.box}\0{item.crowd}\0{item.mask}" for item in sample.objects]
    found.content = hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()
    return found


def _checked(item: Object, sample: Sample, width: int, height: int, annotation: Annotation,
             found: _Found) -> Object | None:
    """The object with its box clipped to the image; None if it cannot be used.

    Masks are checked for tasks that train on masks, and if boxes are derived from them."""
    fault = None
    if annotation == "masks" or item.region:
        try:
            mask = _filled(item, width, height)
            if not area([mask]):
                found.empty.append(_place(item, sample))
                return None
            if not item.crowd:
                found.masks[item.label].append(mask)
        except MaskError as error:
            fault = str(error)
    fault = fault or _fault_of_box(item.box, width, height)
    if fault is not None:
        found.problems.append(Problem(f"{item.source_id}: {fault}" if item.source_id else fault,
                                      file=sample.file or sample.name, line=item.line, hint="correct or remove it"))
        return None
    if _beyond(item.box, width, height) > 0:
        found.clipped.append(_place(item, sample))
        left, top, right, bottom = item.box
        return replace(item, box=(max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))))
    return item


def _filled(item: Object, width: int, height: int) -> RunLengths:
    """Raises MaskError."""
    if item.mask is None:
        raise MaskError(f"the object of the class {item.label!r} has a box but no mask")
    mask = encoded(item.mask, height, width)
    if isinstance(item.mask, Polygons) and _beyond(item.mask.extent(), width, height) > TOLERANCE:
        raise MaskError(f"the polygon extends beyond the image of {width} x {height} px")
    return mask


def _fault_of_box(box: Box, width: int, height: int) -> str | None:
    left, top, right, bottom = box
    shown = f"the box from ({left:g}, {top:g}) to ({right:g}, {bottom:g})"
    if not all(map(math.isfinite, box)):
        return f"{shown} has a side that is not a finite number"
    if right <= left or bottom <= top:
        return f"{shown} has no area"
    if _beyond(box, width, height) > TOLERANCE:
        return f"{shown} is not inside the image of {width} x {height} px"
    return None


def _beyond(box: Box, width: int, height: int) -> float:
    """How far a box extends beyond its image, pixels."""
    return max(-box[0], -box[1], box[2] - width, box[3] - height)


def _place(item: Object, sample: Sample) -> str:
    file = sample.file or sample.name
    return f"{file}:{item.line}" if item.line is not None else f"{file} ({item.source_id})" if item.source_id else file


def _check_duplicates(sample: Sample, found: _Found) -> None:
    items = [item for item in sample.objects if not item.crowd]
    numbers = {label: number for number, label in enumerate({item.label for item in items})}
    boxes, labels = np.array([item.box for item in items]), np.array([numbers[item.label] for item in items])
    for place in range(1, len(items)):
        box, others = boxes[place], boxes[:place]
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        intersection = sides.clip(0).prod(1)
        union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - intersection
        if ((intersection > DUPLICATE_IOU * union) & (labels[:place] == labels[place])).any():
            found.duplicates.append(_place(items[place], sample))


def _about_origin(index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    """Integer boxes that start at 1, never at 0, and touch the far edges have coordinates counted from 1."""
    near = far = 0
    for sample in () if index.relative else index.samples:
        info = infos[sample.name]
        for item in sample.objects:
            left, top, right, bottom = item.box
            if min(left, top) < 1 or not all(float(value).is_integer() for value in item.box):
                return []
            near += min(left, top) == 1
            far += right >= info.width or bottom >= info.height
    if not near or not far:
        return []
    return [Problem(f"no box starts at 0, {near} start at 1, and {far} touch the right or bottom edge of their image: "
                    "the coordinates may be counted from 1", severity="warning",
                    hint=f"{index.format} counts from 0; if they are, subtract 1 from left and top")]


def _about_corners(index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    """Boxes [x1, y1, x2, y2] that were taken for [x, y, width, height]: some reach out of their image, and all would
    fit as corners."""
    outside = 0
    for sample in () if index.relative else index.samples:
        info = infos[sample.name]
        for item in sample.objects:
            left, top, right, bottom = item.box
            outside += _beyond(item.box, info.width, info.height) > TOLERANCE
            if not (left < right - left <= info.width and top < bottom - top <= info.height):
                return []
    if not outside:
        return []
    return [Problem(f"{counted(outside, 'box reaches out of its image', 'boxes reach out of their images')} as x, y, "
                    "width and height; as two corners x1, y1, x2, y2 all would fit",
                    hint="if they are corners, write them as x, y, width, height", affects="boxes")]


def _summed(places: Iterable[str], one: str, more: str, hint: str | None = None) -> list[Problem]:
    found = list(places)
    message = f"{counted(len(found), one, more)}: {listed(found)}"
    return [Problem(message, severity="warning", hint=hint)] if found else []
