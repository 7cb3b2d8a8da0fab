"""A folder of images and a folder of semantic masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import DatasetIndex, FormatMatch, images_by_stem, images_in, relative_name, subfolders
from sightsmith.plugins.formats.class_table import read_class_table
from sightsmith.plugins.formats.semantic_masks import about_unpaired, index_of_masks
from sightsmith.plugins.formats.splits import with_split

IMAGES = ("images", "image", "imgs", "img")
MASKS = ("masks", "mask", "labels", "annotations")
DEPTH = 3


class MaskFolders:
    """``images/`` and ``masks/`` (or ``labels/``, ``annotations/``) of the same file names without suffix,
    in the root or in ``train/`` and ``val/``; or with ``train/`` and ``val/`` in both.

    A pixel value (or palette index) is a class: 0 is the background, 255 is ignored, the others are numbered
    as in ``classes.txt``. Without that file, each value is a class.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        for images, masks in _folder_pairs(root):
            stems_of_masks = {path.stem for path in images_in(masks, root)}
            if any(path.stem in stems_of_masks for path in images_in(images, root)):
                return FormatMatch(0.92, f"folders {relative_name(images, root)}/ and {relative_name(masks, root)}/ with equal "
                                         "file names")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems = []
        found, pairs, without_mask, used = images_by_stem(root), [], [], set()
        for images, masks in _folder_pairs(root):
            for image in images_in(images, root):
                candidates = found.get((masks / image.parent.relative_to(images), image.stem), [])
                if candidates:
                    pairs.append((image, candidates[0]))
                    used.add(candidates[0])
                else:
                    without_mask.append(image)
        unused = [path for _, masks in _folder_pairs(root) for path in images_in(masks, root) if path not in used]
        problems += about_unpaired(root, without_mask, unused)
        folders = [root, *(masks for _, masks in _folder_pairs(root))]
        index = index_of_masks(root, "mask_folders", pairs, read_class_table(root, folders, problems), problems)
        samples = with_split(index.samples, root, problems)
        return replace(index, samples=tuple(samples), problems=tuple(problems))


def _folder_pairs(root: Path) -> Iterator[tuple[Path, Path]]:
    """Every pair of an image folder and a mask folder next to it, those in the root first."""
    level = [root]
    for _ in range(DEPTH):
        for folder in level:
            inner = {path.name.lower(): path for path in subfolders(folder)}
            images = next((inner[name] for name in IMAGES if name in inner), None)
            masks = next((inner[name] for name in MASKS if name in inner), None)
            if images and masks:
                yield images, masks
        level = [path for folder in level for path in subfolders(folder)]
