"""A folder for each case, with its volumes and their segmentation."""

from __future__ import annotations

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
from sightsmith.plugins.formats.class_table import read_class_table
from sightsmith.plugins.formats.semantic_masks import Pair, about_unpaired, index_of_masks
from sightsmith.plugins.formats.splits import with_split

VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".hdr", ".hdr.gz")
_SEGMENTATION = re.compile(r"(^|.*[._-])(seg|segmentation|mask|label|labels|gt|ground[_-]?truth)", re.IGNORECASE)


@dataclass
class _Case:
    """A folder with segmentations and volumes, the latter by their names without that of the folder."""

    folder: Path
    masks: list[Path] = field(default_factory=list)
    volumes: dict[str, Path] = field(default_factory=dict)


class CaseFolders:
    """``case_00000/imaging.nii.gz`` and ``segmentation.nii.gz`` as in KiTS; or several volumes of a case, which are the
    channels of one image if each case has the same: ``BraTS_001/BraTS_001_flair.nii.gz``, ``_t1``, ``_t1ce``, ``_t2``
    and ``_seg``.

    Values of segmentations are classes as in :class:`MaskFolders`.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [case for case in _cases(root) if len(case.masks) == 1 and case.volumes]
        return FormatMatch(0.91, f"{len(found)} folders of volumes with a segmentation") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        cases = list(_cases(root))
        whole = [case for case in cases if len(case.masks) == 1 and case.volumes]
        problems += [Problem(f"has several segmentations: {listed([path.name for path in case.masks])}",
                             file=relative_name(case.folder, root), hint="keep one of them in the folder")
                     for case in cases if len(case.masks) > 1]
        problems += about_unpaired([relative_name(case.folder, root) for case in cases if not case.masks],
                                   [relative_name(case.masks[0], root) for case in cases if not case.volumes])
        channels = sorted({name for case in whole for name in case.volumes}, key=natural_order) \
            if any(len(case.volumes) > 1 for case in whole) else []
        pairs = [pair for case in whole if (pair := _pair(case, root, channels, problems)) is not None]
        if channels and report is not None:
            report(f"The volumes of a case are the channels of one image: {', '.join(channels)}")
        index = index_of_masks(root, "case_folders", pairs, read_class_table(root, [root], problems), problems)
        samples = with_split(index.samples, root, problems)
        return replace(index, samples=tuple(samples), problems=tuple(problems))


def _cases(root: Path) -> Iterator[_Case]:
    """The folders below ``root`` that have volumes; not those inside another."""
    found: dict[Path, _Case] = defaultdict(lambda: _Case(root))
    for path in images_in(root, root):
        if path.parent != root and path.name.lower().endswith(VOLUMES):
            case = found[path.parent]
            case.folder = path.parent
            name = re.sub(rf"^{re.escape(path.parent.name)}[._-]*", "", stem_of(path)) or stem_of(path)
            if _SEGMENTATION.fullmatch(name):
                case.masks.append(path)
            else:
                case.volumes[name] = path
    for folder, case in found.items():
        if found.keys().isdisjoint(folder.parents):
            yield case


def _pair(case: _Case, root: Path, channels: list[str], problems: list[Problem]) -> Pair | None:
    """``channels`` are the names of the volumes if they are channels; else the case has one."""
    if missing := [name for name in channels if name not in case.volumes]:
        problems.append(Problem(f"lacks {listed(missing)}, which other cases have as channels",
                                file=relative_name(case.folder, root), hint="add the volume, or remove the case"))
        return None
    if not channels:
        return Pair.below(root, next(iter(case.volumes.values())), case.masks[0])
    try:
        joined = join_files(case.volumes[name] for name in channels)
    except ImageError as error:
        problems.append(Problem(str(error), file=relative_name(case.folder, root)))
        return None
    return Pair(joined, case.masks[0], relative_name(case.folder, root), relative_name(case.masks[0], root))
