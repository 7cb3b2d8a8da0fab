"""The check of frames that the annotation names one by one, ``scan.nii.gz#12``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted


def named_frames(samples: Sequence[Sample], infos: Mapping[str, ImageInfo], problems: list[Problem],
                 ) -> tuple[Sample, ...]:
    """``samples`` without frames that do not exist, and with the only frame of a file as an image.

    A file that is annotated as a whole and frame by frame is a problem, frames without annotation beside others a
    warning.
    """
    frames: dict[str, set[int | None]] = defaultdict(set)
    found = []
    for sample in samples:
        count = infos[sample.name].frames
        if sample.frame is not None and not 0 <= sample.frame < count:
            problems.append(Problem(f"{sample.image} does not exist: {sample.name} has "
                                    f"{counted(count, 'frame')}, counted from 0", file=sample.file, line=sample.line))
            continue
        sample, known = replace(sample, frame=None) if count == 1 else sample, frames[sample.name]
        if known if sample.frame is None else known & {None, sample.frame}:
            problems.append(Problem(f"{sample.image} has another annotation, too, as a frame or with its whole file",
                                    file=sample.file, line=sample.line,
                                    hint="annotate a file as a whole, or each frame once"))
            continue
        known.add(sample.frame)
        found.append(sample)
    missing = {name: infos[name].frames - len(known) for name, known in frames.items() if None not in known}
    partly = [name for name, count in missing.items() if count]
    if partly:
        problems.append(Problem(f"{counted(sum(missing.values()), 'frame')} without annotation of "
                                f"{counted(len(partly), 'file')}, others of which have some, are ignored: "
                                f"{listed(partly)}", severity="warning"))
    return tuple(found)
