"""Pascal VOC: a picture of classes for each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import DatasetIndex, FormatMatch, Problem
from sightsmith.plugins.formats.class_table import numbered, read_class_table
from sightsmith.plugins.formats.files import images_in, stems
from sightsmith.plugins.formats.semantic_masks import about_unpaired, index_of_maps
from sightsmith.plugins.formats.splits import with_split
from sightsmith.plugins.formats.voc_folder import IMAGES, voc_folder

MAPS = "SegmentationClass"
CLASSES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
           "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
"""By their values in Pascal VOC's own maps."""


class VocMasks:
    """``SegmentationClass/*.png`` and ``JPEGImages/*`` with ``ImageSets/Segmentation/{train,val}.txt``.

    Classes are numbered by ``labelmap.txt`` (or ``classes.txt``) where there is one, else as in Pascal VOC
    itself. Images without a map are left out without a word: most of Pascal VOC has boxes only.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        folder = voc_folder(root, MAPS)
        return FormatMatch(0.93, f"folders {MAPS}/ and {IMAGES}/ of Pascal VOC") if folder else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        folder = voc_folder(root, MAPS)
        if folder is None:
            return DatasetIndex(root, "voc_masks", (), (), problems=(
                Problem(f"there are no folders {MAPS}/ and {IMAGES}/"),))
        problems: list[Problem] = []
        found, pairs, left = stems(folder / IMAGES), [], []
        for picture in images_in(folder / MAPS, root):
            images = found.get((folder / IMAGES, picture.stem), [])
            if images:
                pairs.append((images[0], picture))
            else:
                left.append(picture)
        problems += about_unpaired(root, [], left)
        table = read_class_table(root, [folder, root], problems)
        if table is None:
            problems.append(Problem("no labelmap.txt names the classes: values 1 to 20 are taken as Pascal VOC's own",
                                    severity="warning", hint="write a labelmap.txt, a class a line, from value 0 on"))
        index = index_of_maps(root, "voc_masks", pairs, table or (numbered(CLASSES), "Pascal VOC"), problems)
        samples = with_split(index.samples, root, problems, folder / "ImageSets" / "Segmentation")
        return replace(index, samples=tuple(samples), problems=tuple(problems))
