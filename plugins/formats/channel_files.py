"""Volumes whose channels are files of their own in one folder, ``case_0000.nii.gz``, ``case_0001.nii.gz``: nnU-Net."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from sightsmith.plugin import ImageError, Problem, join_files, listed, relative_name

VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".hdr", ".hdr.gz", ".mha", ".mhd")
_NUMBERED = re.compile(r"(.+)_(\d{4})(\.[^.]+(?:\.gz)?)", re.IGNORECASE)


def join_channels(images: Sequence[Path], root: Path, problems: list[Problem]) -> tuple[dict[Path, Path], list[str]]:
    """The ``images`` by what they are called, and the numbers of their channels.

    Volumes that differ in their numbers are one image, called as they are without it; there are no channels if none has
    several. One that lacks a number of others is a problem.
    """
    cases: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in images:
        match = _NUMBERED.fullmatch(path.name)
        if match is not None and path.name.lower().endswith(VOLUMES):
            cases[path.with_name(match[1] + match[3])][match[2]] = path
    channels = sorted({number for files in cases.values() for number in files})
    if len(channels) < 2 or all(len(files) == 1 for files in cases.values()):
        return {path: path for path in images}, []
    joined = {path for files in cases.values() for path in files.values()}
    found = {path: path for path in images if path not in joined}
    for called, files in cases.items():
        name = relative_name(called, root)
        if missing := [number for number in channels if number not in files]:
            problems.append(Problem(f"lacks the channels {listed(missing)}, which other images have", file=name,
                                    hint="add the files, or remove those that are there"))
            continue
        try:
            found[called] = join_files(files[number] for number in channels)
        except ImageError as error:
            problems.append(Problem(str(error), file=name))
    return found, channels
