"""Conversion to a simpler annotation kind: masks to boxes, both to labels. Renaming of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sightsmith.core.contracts.annotation import Mask, Object, Polygons, SemanticMask
from sightsmith.core.contracts.dataset import DatasetIndex, Sample

if TYPE_CHECKING:
    from sightsmith.core.contracts.image import Array


def to_labels(index: DatasetIndex) -> DatasetIndex:
    """The classes of an image's objects or semantic mask as its labels; multi-label unless each image has one."""
    if index.annotation == "labels":
        return index
    samples = tuple(replace(sample, objects=(), semantic_mask=None, size=None) for sample in index.samples)
    multi_label = any(len(sample.labels) != 1 for sample in samples)
    return replace(index, samples=samples, multi_label=multi_label, annotation="labels", relative=False)


def to_objects(index: DatasetIndex) -> DatasetIndex:
    """For tasks that train on objects: an image's labels are the classes of its objects, without crowds.

    Classes that only label whole images (LabelMe's flags) are dropped.
    """
    samples = tuple(replace(sample, labels=learnt_labels(sample)) for sample in index.samples)
    image_labels = {label for sample in index.samples if not sample.semantic_mask for label in sample.labels}
    seen = {item.label for sample in index.samples for item in sample.objects}
    classes = tuple(name for name in index.classes if name in seen or name not in image_labels)
    return replace(index, samples=samples, classes=classes, multi_label=False)


def learnt_labels(sample: Sample) -> tuple[str, ...]:
    """The sample's labels that occur in its semantic mask or in an object that is not a crowd."""
    if sample.semantic_mask is not None:
        return sample.labels
    learnt = {item.label for item in sample.objects if not item.crowd}
    return tuple(label for label in sample.labels if label in learnt)


def renamed(sample: Sample, names: Mapping[str, str]) -> Sample:
    """The sample with its classes renamed by ``names``; annotation of other classes is dropped."""
    semantic_mask = sample.semantic_mask
    if semantic_mask is not None:
        semantic_mask = replace(semantic_mask, values=tuple((value, names.get(name) if name is not None else None)
                                                    for value, name in semantic_mask.values))
    return replace(sample, semantic_mask=semantic_mask,
                   labels=tuple(names[name] for name in sample.labels if name in names),
                   objects=tuple(replace(item, label=names[item.label]) for item in sample.objects
                                 if item.label in names))


def to_pixels(sample: Sample, width: int, height: int) -> Sample:
    """The sample with coordinates in pixels instead of fractions of the image's sides."""
    return replace(sample, objects=tuple(_scaled(item, width, height) for item in sample.objects))


def to_boxes(sample: Sample, width: int, height: int) -> Sample:
    """The sample with boxes instead of masks. In a semantic mask or a region, which do not separate objects, each
    8-connected component becomes one. Raises MaskError for an unusable mask."""
    objects: list[Object] = []
    for item in sample.objects:
        if item.region and item.mask is not None:
            objects += _components_of_mask(item, item.mask, width, height)
        else:
            objects.append(replace(item, mask=None))
    if sample.semantic_mask is not None:
        objects += _components_of_map(sample.semantic_mask, width, height)
    return replace(sample, objects=tuple(objects), semantic_mask=None)


def _scaled(item: Object, width: int, height: int) -> Object:
    left, top, right, bottom = item.box
    mask = item.mask
    if isinstance(mask, Polygons):
        mask = Polygons(tuple(tuple(value * (height if place % 2 else width) for place, value in enumerate(ring))
                              for ring in mask.rings))
    return replace(item, box=(left * width, top * height, right * width, bottom * height), mask=mask)


def _components_of_mask(item: Object, mask: Mask, width: int, height: int) -> Iterator[Object]:
    from sightsmith.engine.data.masks import decode

    for part in _components(decode(mask, height, width), item.label):
        yield replace(part, crowd=item.crowd, line=item.line, source_id=item.source_id)


def _components_of_map(semantic_mask: SemanticMask, width: int, height: int) -> Iterator[Object]:
    from sightsmith.engine.data.masks import class_numbers

    classes = list(dict.fromkeys(name for _, name in semantic_mask.values if name is not None))
    numbers = class_numbers(semantic_mask, classes, height, width)
    for number, name in enumerate(classes, 1):
        yield from _components(numbers == number, name)


def _components(mask: Array, label: str) -> Iterator[Object]:
    from scipy import ndimage

    numbered, _ = ndimage.label(mask, structure=[[1, 1, 1]] * 3)
    for down, across in ndimage.find_objects(numbered):
        yield Object(label, (float(across.start), float(down.start), float(across.stop), float(down.stop)))
