"""Pascal VOC: one XML of boxes per image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    ImageFrame,
    Object,
    Problem,
    Sample,
    files_in,
    images_by_stem,
    natural_order,
    read_flag,
    read_head,
    read_numbers,
    relative_name,
    richest,
    split_frame,
    stem_of,
    walk_files,
)
from sightsmith.plugins.formats.splits import with_split
from sightsmith.plugins.formats.voc_folder import IMAGES, voc_folder
from sightsmith.plugins.formats.xml_file import LINE, read_xml

ANNOTATIONS = "Annotations"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
PROBED, HEAD = 5, 4096


class Voc:
    """``Annotations/*.xml`` and ``JPEGImages/*`` with ``ImageSets/Main/{train,val}.txt``, or XML files
    next to their images (or in the usual folders).

    The image has the stem of the XML, or else of its ``filename``. ``difficult`` objects are crowds.
    Coordinates are 1-based and inclusive (VOC's development kit: the top left pixel is (1, 1)), so 1 is
    subtracted from the left and top. If any coordinate of the data set is 0, all are read as 0-based, from
    0 to the width and height.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        folder = voc_folder(root, ANNOTATIONS)
        if folder is not None and any(path.suffix.lower() == ".xml" for path in files_in(folder / ANNOTATIONS)):
            return FormatMatch(0.94, f"folders {ANNOTATIONS}/ and {IMAGES}/ as in Pascal VOC")
        for path in itertools.islice(_xml_files(root), PROBED):
            head = read_head(path, root, HEAD)
            if "<annotation" in head and ("<object" in head or "<filename" in head):
                return FormatMatch(0.86, "Pascal VOC XML files")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        folder = voc_folder(root, ANNOTATIONS)
        files = list(_xml_files(folder / ANNOTATIONS if folder else root))
        if not files:
            problems.append(Problem("no XML file was found"))
        images = _Images(root, folder)
        samples: dict[str, Sample] = {}
        for path in files:
            sample = _sample(path, root, images, problems)
            if sample is None:
                continue
            if sample.image in samples:
                problems.append(Problem(f"refers to the image {sample.image}, as does {samples[sample.image].file}",
                                        file=sample.file))
            else:
                samples[sample.image] = sample
        found = with_split(list(samples.values()), root, problems, folder / "ImageSets" / "Main" if folder else None)
        starts_at_zero = any(min(item.box[:2]) <= 0 for sample in found for item in sample.objects)
        if starts_at_zero:
            problems.append(Problem("some boxes start at 0, so coordinates are read as 0-based, unlike in Pascal "
                                    "VOC", severity="warning", affects="boxes"))
        else:
            found = [_zero_based(sample) for sample in found]
            if report is not None and any(sample.objects for sample in found):
                report("Coordinates are read as in Pascal VOC: 1-based and inclusive")
        classes = tuple(sorted({label for sample in found for label in sample.labels}, key=natural_order))
        return DatasetIndex(root, "voc", classes, tuple(found), problems=tuple(problems),
                            annotation=richest(sample.objects for sample in found))


def _xml_files(folder: Path) -> Iterable[Path]:
    return (path for path in walk_files(folder) if path.suffix.lower() == ".xml")


class _Images:
    """Finds the image of an XML file. Raises ValueError with the reason."""

    def __init__(self, root: Path, folder: Path | None) -> None:
        self._root, self._folder, self._stems = root, folder, images_by_stem(root)

    def find(self, xml: Path, filename: str) -> ImageFrame:
        usual = [xml.parent, *(base / name for base in (xml.parent, xml.parent.parent, self._root)
                              for name in (IMAGES, "images", "Images", "image", "img")), self._root]
        folders = [self._folder / IMAGES] if self._folder else usual
        whole = Path(filename.replace("\\", "/")).name
        named, frame = split_frame(whole)
        for stem in dict.fromkeys((xml.stem, stem_of(Path(named)))):
            for folder in folders:
                found = self._stems.get((folder, stem), [])
                exact = [path for path in found if path.name == whole] or [path for path in found if path.name == named]
                if len(exact or found) == 1:
                    path = (exact or found)[0]
                    return ImageFrame(path, None if path.name == whole else frame)
                if found:
                    names = ", ".join(relative_name(path, self._root) for path in found)
                    raise ValueError(f"its image could be {names}; <filename> is {named!r}")
        raise ValueError(f"there is no image {xml.stem!r}" + (f" or {named!r}" if Path(named).stem != xml.stem else ""))


def _sample(path: Path, root: Path, images: _Images, problems: list[Problem]) -> Sample | None:
    name = relative_name(path, root)
    content, problem = read_xml(path, root)
    if content is None:
        problems += [problem] if problem else []
        return None
    if content.tag != "annotation":
        problems.append(Problem(f"is not Pascal VOC: its root element is <{content.tag}>, not <annotation>", file=name))
        return None
    objects, labels = [], set()
    for element in content.iter("object"):
        label = (element.findtext("name") or "").strip()
        if not label:
            problems.append(Problem("an object has no name", file=name, line=int(element.get(LINE, 1))))
            continue
        labels.add(label)
        item = _object(element, label)
        if item is None:
            problems.append(Problem(f"the bndbox of an object of the class {label!r} lacks numbers in "
                                    f"{', '.join(CORNERS)}", file=name, line=int(element.get(LINE, 1)),
                                    affects="boxes"))
        else:
            objects.append(item)
    try:
        image, frame = images.find(path, content.findtext("filename") or "")
    except ValueError as error:
        problems.append(Problem(str(error), file=name, hint="add the image next to it"))
        return None
    return Sample(image, relative_name(image, root), tuple(sorted(labels, key=natural_order)), frame, file=name,
                  objects=tuple(objects), size=_size(content))


def _object(element: Element, label: str) -> Object | None:
    box = element.find("bndbox")
    values = read_numbers([box.findtext(side) or "" for side in CORNERS]) if box is not None else None
    if values is None:
        return None
    left, top, right, bottom = values
    return Object(label, (left, top, right, bottom), crowd=bool(read_flag(element.findtext("difficult"))),
                  line=int(element.get(LINE, 1)))


def _zero_based(sample: Sample) -> Sample:
    return replace(sample, objects=tuple(replace(item, box=(item.box[0] - 1, item.box[1] - 1, *item.box[2:]))
                                         for item in sample.objects))


def _size(content: Element) -> tuple[int, int] | None:
    """The size in the file; None if it is missing or 0, as many tools write it."""
    sides = read_numbers([content.findtext(f"size/{side}") or "" for side in ("width", "height")])
    if sides is None or not all(math.isfinite(side) and side >= 1 for side in sides):
        return None
    return int(sides[0]), int(sides[1])
