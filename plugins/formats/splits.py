"""The split that a data set brings, by the names of its folders or by lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import Problem, Sample, Split, listed
from sightsmith.plugins.formats.files import read_text, relative

SIDES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}
"""What folders and lists of each side are called."""


def side_of(folders: Iterable[str]) -> Split | None:
    """The side that the name of a folder on the way to a file says."""
    return next((side for name in folders for side, words in SIDES.items() if name.lower() in words), None)


def with_split(samples: Sequence[Sample], root: Path, problems: list[Problem],
               lists: Path | None = None) -> list[Sample]:
    """``samples`` with the split of the data set, if there is one; what is on no side of it is left out.

    It stands in ``train.txt`` and ``val.txt`` of the folder ``lists``, which name images without their
    suffix, or in the names of the folders that the images lie in.
    """
    by_stem = _by_stem(lists, root, problems) if lists is not None else {}
    sides = {sample.name: by_stem.get(sample.path.stem) if by_stem else side_of(Path(sample.name).parts[:-1])
             for sample in samples}
    dropped: set[str] = set()
    if not {"train", "validation"} <= set(sides.values()):
        sides = {name: side if side == "test" else None for name, side in sides.items()}
    elif left := [name for name, side in sides.items() if side is None]:
        problems.append(Problem(f"{len(left)} images are on no side of the given split and are left out: "
                                f"{listed(left)}", severity="warning"))
        dropped = set(left)
    return [replace(sample, split=sides[sample.name]) for sample in samples if sample.name not in dropped]


def _by_stem(lists: Path, root: Path, problems: list[Problem]) -> dict[str, Split]:
    sides: dict[str, Split] = {}
    for side, words in SIDES.items():
        for path in (lists / f"{word}.txt" for word in words):
            if not path.is_file():
                continue
            text, problem = read_text(path, root)
            problems += [problem] if problem else []
            for number, line in enumerate((text or "").splitlines(), 1):
                stem = line.split()[0] if line.strip() else None
                if stem is not None and sides.setdefault(stem, side) != side:
                    problems.append(Problem(f"{stem!r} is in the list of {sides[stem]} too", line=number,
                                            file=relative(path, root), hint="take it out of one"))
    return sides if {"train", "validation"} <= set(sides.values()) else {}
