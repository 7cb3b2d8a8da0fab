"""Helpers of all writers: copies of the images, masks, and notes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ElementTree, indent

import numpy as np

from sightsmith.plugin import (
    Array,
    DatasetIndex,
    ImageInfo,
    Object,
    Sample,
    UserError,
    counted,
    decode_mask,
    short_path,
)

IMAGES = "images"
ANOTHER = "choose another format, such as coco"
"""The hint where a format cannot hold what is there."""
LONGEST_NAME = 250
"""Bytes of the name of an image beside which one with another suffix fits: file systems allow 255."""
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no character for: https://www.w3.org/TR/xml/#charsets."""


def copy_images(index: DatasetIndex, folder: Path, below: str = IMAGES) -> list[Sample]:
    """The samples with the paths and names of the copies, ``<below>/<name>``; subfolders are kept, and names that are
    too long for annotation beside them are cut."""
    copied = []
    for sample in index.samples:
        name = f"{below}/{_cut(sample.name)}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample.path, path)
        copied.append(replace(sample, path=path, name=name))
    return copied


def _cut(name: str) -> str:
    last = PurePosixPath(name)
    if len(last.name.encode()) <= LONGEST_NAME:
        return name
    return short_path(name) + (last.suffix if len(last.suffix) <= 5 else "")


def check_xml(index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> None:
    """Raises UserError for a name that no XML can hold."""
    labels = {item.label for sample in index.samples for item in sample.objects}
    for text in (*index.classes, *labels, *(sample.name for sample in index.samples)):
        if _NOT_XML.search(text):
            raise UserError(f"XML cannot hold the control character in the name {text!r}",
                            hint=f"rename it, or {ANOTHER}")


def write_xml(root: Element, path: Path) -> None:
    """Write ``root`` to ``path``, indented."""
    indent(root)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def object_mask(item: Object, info: ImageInfo) -> Array:
    """(height, width) bool; the object must have a mask."""
    assert item.mask is not None
    return decode_mask(item.mask, info.height, info.width)


def class_masks(sample: Sample, info: ImageInfo) -> Mapping[str, Array]:
    """The union of the masks of each class, (height, width) bool, without crowds."""
    found: dict[str, Array] = {}
    for item in sample.objects:
        if not item.crowd:
            mask = object_mask(item, info)
            found[item.label] = np.logical_or(found[item.label], mask) if item.label in found else mask
    return found


def shared_stems(samples: Sequence[Sample], file: str) -> list[str]:
    """A note on images with equal stems, which share one annotation file (``file``: "JSON", "text")."""
    stems = [Path(sample.name).with_suffix("") for sample in samples]
    shared = len(stems) - len(set(stems))
    differ = counted(shared, "image differs", "images differ")
    return [f"{differ} from another only in the suffix and shares its {file}"] if shared else []
