"""Pascal VOC: one semantic mask per image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import DatasetIndex, FormatMatch, Problem, images_by_stem, images_in, relative_name, stem_of
from sightsmith.plugins.formats.class_table import from_names, read_class_table
from sightsmith.plugins.formats.semantic_masks import Pair, about_unpaired, index_of_masks
from sightsmith.plugins.formats.splits import with_split
from sightsmith.plugins.formats.voc_folder import IMAGES, voc_folder

MASKS = "SegmentationClass"
CLASSES = ("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
           "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
"""In the order of their pixel values in Pascal VOC's own masks."""


class VocMasks:
    """``SegmentationClass/*.png`` and ``JPEGImages/*`` with ``ImageSets/Segmentation/{train,val}.txt``.

    Classes are from_names as in ``labelmap.txt`` (or ``classes.txt``) if there is one, else as in Pascal VOC
    itself. Images without a mask are ignored without a warning: most of Pascal VOC only has boxes.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        folder = voc_folder(root, MASKS)
        return FormatMatch(0.93, f"folders {MASKS}/ and {IMAGES}/ as in Pascal VOC") if folder else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        folder = voc_folder(root, MASKS)
        if folder is None:
            return DatasetIndex(root, "voc_masks", (), (), problems=(
                Problem(f"there are no folders {MASKS}/ and {IMAGES}/"),))
        problems: list[Problem] = []
        found, pairs, without_image = images_by_stem(folder / IMAGES), [], []
        for mask in images_in(folder / MASKS, root):
            images = found.get((folder / IMAGES, stem_of(mask)), [])
            if images:
                pairs.append(Pair.below(root, images[0], mask))
            else:
                without_image.append(relative_name(mask, root))
        problems += about_unpaired([], without_image)
        table = read_class_table(root, [folder, root], problems)
        if table is None:
            problems.append(Problem("there is no labelmap.txt: values 1 to 20 are read as Pascal VOC's own classes",
                                    severity="warning", hint="write a labelmap.txt: one class per line, from value 0"))
        index = index_of_masks(root, "voc_masks", pairs, table or (from_names(CLASSES), "Pascal VOC"), problems)
        samples = with_split(index.samples, root, problems, folder / "ImageSets" / "Segmentation")
        return replace(index, samples=tuple(samples), problems=tuple(problems))
