"""Writing a data set, or what a model says of images, in another format: with a copy of each image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.records import DatasetFormatRecord
from sightsmith.core.util.errors import UserError, listed
from sightsmith.core.util.files import fill_folder
from sightsmith.engine.data.masks import box, class_numbers, encode


def find_writer(name: str, formats: Mapping[str, DatasetFormatRecord], annotation: str) -> DatasetFormatRecord:
    """The format called ``name``, if it can be written with this kind of annotation. Raises UserError."""
    able = [key for key, record in formats.items() if record.writer and annotation in record.annotations]
    if name not in able:
        why = "cannot be written" if name in formats and not formats[name].writer else \
            f"has no {annotation}" if name in formats else "is no format"
        raise UserError(f"The format {name!r} {why}.", hint=f"{annotation} can be written as {', '.join(able)}")
    return formats[name]


def write_dataset(index: DatasetIndex, infos: Mapping[str, ImageInfo], record: DatasetFormatRecord, folder: Path,
                  ) -> list[str]:
    """Write ``index``, which is checked, into the new ``folder``; lines on what the format cannot say.

    Raises UserError for a folder that exists, and for frames of files that have several.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already, and nothing is overwritten", hint="name another folder")
    if frames := [sample.key for sample in index.samples if sample.frame is not None]:
        raise UserError(f"Frames of files that have several cannot be written: {listed(frames)}",
                        hint="write each as a file of its own first")
    samples = tuple(_with_regions(sample, infos[sample.name]) for sample in index.samples)
    said: list[str] = []
    write = record.build_writer()
    fill_folder(folder, lambda place: said.extend(write(replace(index, samples=samples), infos, place)))
    return said


def _with_regions(sample: Sample, info: ImageInfo) -> Sample:
    """A map of classes as an object for each class, all that the image has of it."""
    if sample.semantic_mask is None:
        return sample
    classes = list(dict.fromkeys(name for _, name in sample.semantic_mask.values if name is not None))
    numbers = class_numbers(sample.semantic_mask, classes, info.height, info.width)
    return replace(sample, semantic_mask=None, objects=regions(numbers, classes))


def regions(numbers: Array, classes: Sequence[str]) -> tuple[Object, ...]:
    """Of a map (height, width), i + 1 for ``classes[i]``, an object for each class: all that it has of it."""
    found = []
    for number, name in enumerate(classes, 1):
        if (mask := numbers == number).any():
            runs = encode(mask)
            found.append(Object(name, box(runs), runs, region=True))
    return tuple(found)


def of_crowds(samples: Iterable[Sample]) -> list[str]:
    """What a format without crowds leaves out."""
    count = sum(item.crowd for sample in samples for item in sample.objects)
    return [f"{count} crowds are left out: this format has none"] if count else []
