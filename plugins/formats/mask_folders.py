"""A folder of images and a folder of semantic masks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import DatasetIndex, FormatMatch, Problem, images_in, relative_name, stem_of, subfolders
from sightsmith.plugins.formats.channel_files import join_channels
from sightsmith.plugins.formats.class_table import read_class_table
from sightsmith.plugins.formats.semantic_masks import Pair, about_unpaired, index_of_masks
from sightsmith.plugins.formats.splits import with_split

IMAGES = ("images", "image", "imgs", "img", "imagestr")
MASKS = ("masks", "mask", "labels", "annotations", "labelstr")
DEPTH = 3
OTHER_MAPS = ("_instanceIds", "_color", "_instanceTrainIds")
_ENDINGS = re.compile(r"([._-](mask|gt|gtruth|groundtruth|label|labels|seg|segmentation|annotation|image|img|sat)"
                      r"|(_gtFine|_gtCoarse)?_label(Train)?Ids|_leftImg8bit|_0000)$", re.IGNORECASE)
"""By which tools tell an image and its mask apart."""


class MaskFolders:
    """``images/`` and ``masks/`` (or ``labels/``, ``annotations/``) of the same file names without suffix,
    in the root or in ``train/`` and ``val/``; or with ``train/`` and ``val/`` in both. The names may differ in the
    usual endings: ``1.jpg`` and ``1_mask.png``, ``x_leftImg8bit.png`` and ``x_gtFine_labelIds.png``. So does the
    Medical Segmentation Decathlon with ``imagesTr/`` and ``labelsTr/``, also with nnU-Net's ``_0000``; volumes
    ``_0000``, ``_0001`` and so on are the channels of one image. The mask of a volume is a volume: each slice has the
    same slice of it.

    A pixel value (or palette index) is a class: 0 is the background, 255 is ignored, the others are numbered
    as in ``classes.txt``, or in the ``dataset.json`` of the Decathlon. Without that file, each value is a class.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        for images, masks in _folder_pairs(root):
            names = {_common_stem(path) for path in images_in(masks, root)}
            if any(_common_stem(path) in names for path in images_in(images, root)):
                shown = f"{relative_name(images, root)}/ and {relative_name(masks, root)}/"
                return FormatMatch(0.92, f"folders {shown} with equal file names")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        pairs, without_mask, unused, numbers = [], [], [], dict[str, None]()
        for images, masks in _folder_pairs(root):
            known = _masks_by_stem(masks, root)
            used = set()
            joined, channels = join_channels(list(images_in(images, root)), root, problems)
            numbers |= dict.fromkeys(channels)
            for called, image in joined.items():
                below, name = called.parent.relative_to(images), relative_name(called, root)
                found = known.get((below, stem_of(called))) or known.get((below, _common_stem(called)))
                if found:
                    pairs.append(Pair(image, found, name, relative_name(found, root)))
                    used.add(found)
                else:
                    without_mask.append(name)
            unused += [relative_name(path, root) for path in images_in(masks, root)
                       if path not in used and not _is_other_map(path)]
        problems += about_unpaired(without_mask, unused)
        folders = [root, *(masks for _, masks in _folder_pairs(root))]
        index = index_of_masks(root, "mask_folders", pairs, read_class_table(root, folders, problems), problems)
        samples = with_split(index.samples, root, problems)
        return replace(index, samples=tuple(samples), problems=tuple(problems), channels=tuple(numbers))


def _masks_by_stem(folder: Path, root: Path) -> dict[tuple[Path, str], Path]:
    """The masks below ``folder`` by their subfolder and stem, and by the stem without its usual ending."""
    found: dict[tuple[Path, str], Path] = {}
    for path in images_in(folder, root):
        if not _is_other_map(path):
            below = path.parent.relative_to(folder)
            found[below, stem_of(path)] = path
            found.setdefault((below, _common_stem(path)), path)
    return found


def _common_stem(path: Path) -> str:
    """The stem that an image and its mask have in common."""
    return _ENDINGS.sub("", stem_of(path))


def _is_other_map(path: Path) -> bool:
    """Whether it is one of the maps that Cityscapes has beside the classes."""
    return path.stem.endswith(OTHER_MAPS)


def _folder_pairs(root: Path) -> Iterator[tuple[Path, Path]]:
    """Every pair of an image folder and a mask folder next to it, those in the root first."""
    level = [root]
    for _ in range(DEPTH):
        for folder in level:
            inner = {path.name.lower(): path for path in subfolders(folder, root)}
            images = next((inner[name] for name in IMAGES if name in inner), None)
            masks = next((inner[name] for name in MASKS if name in inner), None)
            if images and masks:
                yield images, masks
        level = [path for folder in level for path in subfolders(folder, root)]
