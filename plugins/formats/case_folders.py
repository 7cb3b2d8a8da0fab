"""A folder for each case, with its volumes and their segmentation."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    ImageError,
    Problem,
    images_in,
    join_files,
    listed,
    natural_order,
    relative_name,
    stem_of,
)
from sightsmith.plugins.formats.channel_files import VOLUMES
from sightsmith.plugins.formats.class_table import read_class_table
from sightsmith.plugins.formats.semantic_masks import Pair, about_unpaired, index_of_masks
from sightsmith.plugins.formats.splits import with_split

_SEGMENTATION = re.compile(r"segs?|segmentations?|masks?|labels?|labelmaps?|gt|(ground)?truth|annotations?|annot")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""Of ``aneurysm_seg``, ``seg-rater1``, ``LesionMask`` and ``T1_GT``: what stands between separators, digits and
capitals."""


@dataclass
class _Case:
    """A folder with segmentations and volumes, the latter by their names in small letters, without what all of the
    case begin with."""

    folder: Path
    masks: list[Path] = field(default_factory=list)
    volumes: dict[str, list[Path]] = field(default_factory=dict)


class CaseFolders:
    """``case_00000/imaging.nii.gz`` and ``segmentation.nii.gz`` as in KiTS; or several volumes of a case, which are the
    channels of one image if each case has the same: ``BraTS_001/BraTS_001_flair.nii.gz``, ``_t1``, ``_t1ce``, ``_t2``
    and ``_seg``.

    A case has one segmentation: of several, such as those of two raters, none is chosen. Values of segmentations are
    classes as in :class:`MaskFolders`.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [case for case in _cases(root) if case.masks and case.volumes]
        return FormatMatch(0.91, f"{len(found)} folders of volumes with a segmentation") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        cases = list(_cases(root))
        problems += [problem for case in cases for problem in _about_several(case, root)]
        problems += about_unpaired([relative_name(case.folder, root) for case in cases if not case.masks],
                                   [relative_name(case.masks[0], root) for case in cases if not case.volumes])
        whole = [case for case in cases if len(case.masks) == 1 and case.volumes]
        channels = sorted({name for case in whole for name in case.volumes}, key=natural_order) \
            if any(len(case.volumes) > 1 for case in whole) else []
        pairs = [pair for case in whole if (pair := _pair(case, root, channels, problems)) is not None]
        if channels and report is not None:
            report(f"The volumes of a case are the channels of one image: {', '.join(channels)}")
        index = index_of_masks(root, "case_folders", pairs, read_class_table(root, [root], problems), problems)
        samples = with_split(index.samples, root, problems)
        return replace(index, samples=tuple(samples), problems=tuple(problems), channels=tuple(channels))


def _cases(root: Path) -> Iterator[_Case]:
    """The folders below ``root`` that have volumes; not those inside another."""
    found: dict[Path, list[Path]] = defaultdict(list)
    for path in images_in(root, root):
        if path.parent != root and path.name.lower().endswith(VOLUMES):
            found[path.parent].append(path)
    for folder, paths in found.items():
        if found.keys().isdisjoint(folder.parents):
            case = _Case(folder)
            for path, name in zip(paths, _names(folder, [stem_of(path) for path in paths]), strict=True):
                if any(_SEGMENTATION.fullmatch(word.lower()) for word in _WORD.findall(name)):
                    case.masks.append(path)
                else:
                    case.volumes.setdefault(name.lower(), []).append(path)
            yield case


def _names(folder: Path, stems: list[str]) -> list[str]:
    """``stems`` without the name of the folder, or else without the words that all of them begin with."""
    begin = re.compile(rf"{re.escape(folder.name)}[._-]*", re.IGNORECASE)
    if not all(map(begin.match, stems)):
        begin = re.compile(re.escape(re.sub(r"[^._-]*$", "", os.path.commonprefix(stems))))
    return [begin.sub("", stem, count=1) or stem for stem in stems]


def _about_several(case: _Case, root: Path) -> Iterator[Problem]:
    """Segmentations and volumes of which one would have to be chosen."""
    name = relative_name(case.folder, root)
    if len(case.masks) > 1:
        yield Problem(f"has several segmentations: {listed([path.name for path in case.masks])}", file=name,
                      hint="keep the one to learn from in the folder, and move the others, such as those of other "
                           "raters, out of the data set")
    for paths in case.volumes.values():
        if len(paths) > 1:
            yield Problem(f"has several volumes of one name: {listed([path.name for path in paths])}", file=name,
                          hint="keep one of them in the folder")


def _pair(case: _Case, root: Path, channels: list[str], problems: list[Problem]) -> Pair | None:
    """``channels`` are the names of the volumes if they are channels; else the case has one."""
    if missing := [name for name in channels if name not in case.volumes]:
        problems.append(Problem(f"lacks {listed(missing)}, which other cases have as channels",
                                file=relative_name(case.folder, root), hint="add the volume, or remove the case"))
        return None
    if not channels:
        return Pair.below(root, next(iter(case.volumes.values()))[0], case.masks[0])
    try:
        joined = join_files(case.volumes[name][0] for name in channels)
    except ImageError as error:
        problems.append(Problem(str(error), file=relative_name(case.folder, root)))
        return None
    return Pair(joined, case.masks[0], relative_name(case.folder, root), relative_name(case.masks[0], root))
