"""Writes CVAT for images 1.1: ``annotations.xml`` and ``images/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from sightsmith.plugin import SPLIT_NAMES, DatasetIndex, ImageInfo, Object, Polygons
from sightsmith.plugins.formats.shapes import to_rows
from sightsmith.plugins.formats.writing import IMAGES, copy_images, object_mask, write_xml


def write_cvat(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Labels become tags, boxes boxes, and masks polygons or run lengths. A split is a subset, below ``images/``."""
    crowds = any(item.crowd for sample in index.samples for item in sample.objects)
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "project"), "labels")
    for name in index.classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        attributes = SubElement(label, "attributes")
        if crowds:
            attribute = SubElement(attributes, "attribute")
            for key, value in (("name", "is_crowd"), ("mutable", "False"), ("input_type", "checkbox"),
                               ("default_value", "false"), ("values", "false")):
                SubElement(attribute, key).text = value
    for number, (sample, original) in enumerate(zip(copy_images(index, folder), index.samples, strict=True)):
        info = infos[original.name]
        image = SubElement(root, "image", id=str(number), name=sample.name.removeprefix(f"{IMAGES}/"),
                           width=str(info.width), height=str(info.height))
        if sample.split is not None:
            image.set("subset", SPLIT_NAMES[sample.split][0])
        for name in sample.labels if index.annotation == "labels" else ():
            SubElement(image, "tag", label=name, source="manual")
        for item in sample.objects if index.annotation != "labels" else ():
            element = _shape(image, item, index, info)
            if crowds:
                SubElement(element, "attribute", name="is_crowd").text = str(item.crowd).lower()
    write_xml(root, folder / "annotations.xml")
    return []


def _shape(image: Element, item: Object, index: DatasetIndex, info: ImageInfo) -> Element:
    shared = {"label": item.label, "source": "manual", "occluded": "0", "z_order": "0"}
    if index.annotation == "boxes" or item.mask is None:
        sides = {name: repr(float(side)) for name, side in zip(("xtl", "ytl", "xbr", "ybr"), item.box, strict=True)}
        return SubElement(image, "box", {**shared, **sides})
    if isinstance(item.mask, Polygons) and len(item.mask.rings) == 1:
        ring = item.mask.rings[0]
        points = ";".join(f"{float(x)!r},{float(y)!r}" for x, y in zip(ring[0::2], ring[1::2], strict=True))
        return SubElement(image, "polygon", {**shared, "points": points})
    mask = object_mask(item, info)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = mask[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    return SubElement(image, "mask", {
        **shared, "rle": ", ".join(map(str, to_rows(cut))), "left": str(columns[0]), "top": str(rows[0]),
        "width": str(cut.shape[1]), "height": str(cut.shape[0])})
