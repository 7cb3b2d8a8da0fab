"""VGG Image Annotator 1 and 2: projects, and exports as JSON and CSV."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightsmith.plugin import DatasetIndex, FormatMatch, Object, Problem, read_head, relative_name, walk_files
from sightsmith.plugins.formats.tool_dataset import ToolDataset
from sightsmith.plugins.formats.via_classes import ClassAttribute, choose_attribute
from sightsmith.plugins.formats.via_entries import Entry, Region, read_csv_export, read_json_export
from sightsmith.plugins.formats.via_objects import read_shape

PROBED = 20
"""Files that are looked into when the format is detected."""
DEFAULTS = frozenset({"caption", "public_domain", "image_url"})
"""Attributes that every new project has for its files."""


class Via:
    """A project, or an export as JSON or CSV, and the images.

    The class of a region is the value of one of its attributes: one called ``class``, ``label``, ``name``, ``type`` and
    the like if each region has it, otherwise the first that each region has; ``read`` reports which. The labels of an
    image are the values of an attribute of its file that is called so or, without any region, of the first one.
    Rectangles are boxes; polygons, circles and ellipses masks.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in itertools.islice(_files(root), PROBED) if _is_via(path, root)]
        return FormatMatch(0.895, f"annotation of the VGG Image Annotator in {relative_name(found[0], root)}") \
            if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "via")
        files = [path for path in _files(root) if _is_via(path, root)]
        if not files:
            data.problems.append(Problem("no JSON or CSV of the VGG Image Annotator was found",
                                         hint="export the annotations as JSON"))
        entries: list[tuple[Entry, Path]] = []
        declared: dict[str, dict[str, Any]] = {"region": {}, "file": {}}
        for path in files:
            export = (read_csv_export if path.suffix.lower() == ".csv" else read_json_export)(path, root, data.problems)
            entries += [(entry, path.parent / export.folder) for entry in export.entries]
            for kind, found in declared.items():
                found.update(export.attributes.get(kind, {}))
        of_region = choose_attribute([region.attributes for entry, _ in entries for region in entry.regions],
                                     declared["region"])
        of_file = choose_attribute([entry.attributes for entry, _ in entries], declared["file"], DEFAULTS,
                                   usual_only=of_region is not None)
        if report is not None and of_region is not None:
            report(f"The class of a region is its attribute {of_region.name!r}")
        for attribute in (of_region, of_file):
            data.declare(attribute.options if attribute else ())
        for entry, folder in entries:
            _add(entry, folder, of_region, of_file, data)
        return data.index()


def _files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root) if path.suffix.lower() in (".json", ".csv"))


def _is_via(path: Path, root: Path) -> bool:
    head = read_head(path, root)
    if path.suffix.lower() == ".csv":
        return "region_shape_attributes" in head.partition("\n")[0]
    return '"_via_img_metadata"' in head or ('"regions"' in head and '"filename"' in head and (
        '"file_attributes"' in head or '"region_attributes"' in head))


def _add(entry: Entry, folder: Path, of_region: ClassAttribute | None, of_file: ClassAttribute | None,
         data: ToolDataset) -> None:
    labels = list(of_file.values(entry.attributes)) if of_file else []
    objects: list[Object] = []
    for region in entry.regions:
        names = _names(region, of_region, data)
        labels += names
        try:
            item = read_shape(region.shape) if names else None
        except ValueError as error:
            data.problems.append(region.place.problem(str(error), "redraw it as a rectangle or a polygon, or remove it",
                                                      affects="boxes"))
            continue
        if item is not None:
            where: Mapping[str, Any] = {"line": region.place.line} if region.place.line else {
                "source_id": region.place.entry}
            objects += [replace(item, label=name, **where) for name in names]
    image = data.find(entry.filename, entry.place, [folder])
    if image is not None:
        data.add(image, entry.place, labels, objects)


def _names(region: Region, attribute: ClassAttribute | None, data: ToolDataset) -> list[str]:
    """The classes of a region; a problem if it has none."""
    names = list(attribute.values(region.attributes)) if attribute else []
    if not names:
        data.problems.append(region.place.problem(
            f"has no {attribute.name!r}, the attribute that is the class of the others" if attribute else
            "has no attribute that could be its class", "give each region a value of the same attribute"))
    return names
