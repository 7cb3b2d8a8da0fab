"""CVAT for images 1.1: an XML with the shapes and tags of many images."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Object,
    Problem,
    near,
    read_flag,
    read_head,
    read_integer,
    read_size,
    relative_name,
    split_of,
    walk_files,
)
from sightsmith.plugins.formats.cvat_objects import SHAPES, read_shape
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset
from sightsmith.plugins.formats.xml_file import LINE, read_xml

PROBED = 20
"""XML files that are looked into when the format is detected."""
IGNORED = frozenset({"attribute"})


class Cvat:
    """``annotations.xml`` and ``images/``, as CVAT exports them, or an XML for each task.

    Classes are the labels of the project, in its order. Boxes, polygons, ellipses and masks are objects, turned ones
    too, in the order in which CVAT stacks them; tags are labels of the image. Shapes that are ``outside`` are left out,
    and those with the attribute ``is_crowd`` are crowds. The split of an image is its ``subset``.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in itertools.islice(_xml_files(root), PROBED) if _is_cvat(path, root)]
        return FormatMatch(0.955, f"CVAT annotation in {relative_name(found[0], root)}") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "cvat")
        files = [path for path in _xml_files(root) if _is_cvat(path, root)]
        if not files:
            data.problems.append(Problem("no XML of CVAT was found", hint="export the task as 'CVAT for images 1.1'"))
        for path in files:
            _read_file(path, data)
        return data.index()


def _xml_files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root) if path.suffix.lower() == ".xml")


def _is_cvat(path: Path, root: Path) -> bool:
    return re.search(r"<annotations\b.*?<(version|meta|image|track)\b", read_head(path, root), re.DOTALL) is not None


def _read_file(path: Path, data: ToolDataset) -> None:
    place = Place(relative_name(path, data.root))
    content, problem = read_xml(path, data.root)
    if content is None:
        data.problems += [problem] if problem else []
        return
    if content.find("track") is not None:
        data.problems.append(place.problem("has tracks of a video, which are not read",
                                           "export the task as 'CVAT for images 1.1'"))
        return
    names = [(element.findtext("name") or "").strip() for element in content.iterfind("meta//labels/label")
             if element.find("parent") is None]
    classes = dict.fromkeys(name for name in names if name)
    data.declare(classes)
    subset = content.findtext("meta/task/subset") or content.findtext("meta/job/subset") or ""
    for image in content.iterfind("image"):
        _read_image(image, path.parent, Place(place.file, line=_line(image)), classes, subset, data)


def _read_image(image: Element, folder: Path, place: Place, classes: dict[str, None], subset: str,
                data: ToolDataset) -> None:
    size = read_size((image.get("width"), image.get("height")))
    labels: dict[str, None] = {}
    found: list[tuple[int, Object]] = []
    for element in image:
        here = Place(place.file, line=_line(element))
        label = (element.get("label") or "").strip()
        if element.tag in IGNORED:
            continue
        if fault := _fault_of_label(element.tag, label, classes):
            data.problems.append(here.problem(*fault))
            continue
        outside = read_flag(element.get("outside"))
        if outside is None:
            data.problems.append(here.problem(f"outside={element.get('outside')!r} is neither 0 nor 1"))
        if outside:
            continue
        labels[label] = None
        if element.tag == "tag":
            continue
        try:
            found.append((read_integer(element.get("z_order")) or 0, read_shape(element, label, size, here.line)))
        except ValueError as error:
            data.problems.append(here.problem(f"<{element.tag}> of {label!r}: {error}", affects="boxes",
                                              hint="correct it in CVAT and export again, or remove it"))
    subset = image.get("subset") or subset
    bases = [folder / "images", folder]
    path = data.find(image.get("name"), place, [*(base / subset for base in bases if subset), *bases])
    if path is not None:
        objects = [item for _, item in sorted(found, key=lambda pair: pair[0])]
        data.add(path, place, labels, objects, size, split_of(subset))


def _fault_of_label(tag: str, label: str, classes: dict[str, None]) -> tuple[str, str | None] | None:
    """The message and the hint."""
    if tag != "tag" and tag not in SHAPES:
        return f"<{tag}> is not a CVAT shape.", f"its shapes are {', '.join(SHAPES)}, and tag"
    if not label:
        return f"<{tag}> has no label", "choose its label in CVAT"
    if classes and label not in classes:
        return f"the label {label!r} is not one of the {len(classes)} in <labels>.{near(label, classes)}", None
    return None


def _line(element: Element) -> int:
    return int(element.get(LINE, 1))
