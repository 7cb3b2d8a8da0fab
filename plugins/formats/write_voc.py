"""Writes Pascal VOC XML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from sightsmith.plugin import SPLIT_NAMES, DatasetIndex, ImageInfo, Sample, UserError, listed
from sightsmith.plugins.formats.voc import ANNOTATIONS, CORNERS
from sightsmith.plugins.formats.voc_folder import IMAGES
from sightsmith.plugins.formats.writing import check_xml, copy_images, write_xml


def check_voc(index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> None:
    """Raises UserError if two images have the same stem, as the format has a single image folder, and for a name that
    no XML can hold."""
    stems: dict[str, list[str]] = {}
    for sample in index.samples:
        stems.setdefault(Path(sample.name).stem, []).append(sample.name)
    if equal := [" and ".join(names) for names in stems.values() if len(names) > 1]:
        raise UserError(f"Pascal VOC has a single image folder, but these images have the same name: {listed(equal)}",
                        hint="choose a format that keeps folders, such as coco")
    check_xml(index, infos)


def write_voc(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """Coordinates are 1-based and inclusive; crowds are ``difficult``."""
    (folder / ANNOTATIONS).mkdir()
    lists: dict[str, list[str]] = {}
    flat = copy_images(index, folder, IMAGES)
    for sample, original in zip(flat, index.samples, strict=True):
        path = folder / IMAGES / Path(original.name).name
        if sample.path != path:
            sample.path.rename(path)
        _write(folder / ANNOTATIONS / f"{path.stem}.xml", sample, path.name, infos[original.name])
        if sample.split is not None:
            lists.setdefault(SPLIT_NAMES[sample.split][0], []).append(path.stem)
    for below in sorted((path for path in (folder / IMAGES).rglob("*") if path.is_dir()), reverse=True):
        below.rmdir()
    for name, found in lists.items():
        (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in found))
    return []


def _write(path: Path, sample: Sample, image: str, info: ImageInfo) -> None:
    root = Element("annotation")
    SubElement(root, "filename").text = image
    size = SubElement(root, "size")
    for name, value in (("width", info.width), ("height", info.height), ("depth", info.channels)):
        SubElement(size, name).text = str(value)
    for item in sample.objects:
        element = SubElement(root, "object")
        SubElement(element, "name").text = item.label
        SubElement(element, "difficult").text = str(int(item.crowd))
        bndbox = SubElement(element, "bndbox")
        left, top, right, bottom = item.box
        for name, side in zip(CORNERS, (left + 1, top + 1, right, bottom), strict=True):
            SubElement(bndbox, name).text = f"{side:.10g}"
    write_xml(root, path)
