"""A data set's own split, from the names of its folders or from lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import Problem, Sample, Split, listed, read_text, relative_name

SPLIT_NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}
"""Names of the folders and lists of each split."""


def split_of(folders: Iterable[str]) -> Split | None:
    """The split that one of ``folders`` is named after."""
    return next((split for name in folders for split, names in SPLIT_NAMES.items() if name.lower() in names), None)


def with_split(samples: Sequence[Sample], root: Path, problems: list[Problem],
               lists: Path | None = None) -> list[Sample]:
    """``samples`` with the data set's own split, if there is one; images outside it are dropped with a warning.

    It comes from ``train.txt`` and ``val.txt`` in the folder ``lists``, which list images without their
    suffix, or from the names of the images' folders.
    """
    by_stem = _by_stem(lists, root, problems) if lists is not None else {}
    splits = {sample.name: by_stem.get(sample.path.stem) if by_stem else split_of(Path(sample.name).parts[:-1])
              for sample in samples}
    dropped: set[str] = set()
    if not {"train", "validation"} <= set(splits.values()):
        splits = {name: split if split == "test" else None for name, split in splits.items()}
    elif outside := [name for name, split in splits.items() if split is None]:
        problems.append(Problem(f"{len(outside)} images are in no split and are ignored: {listed(outside)}",
                                severity="warning"))
        dropped = set(outside)
    return [replace(sample, split=splits[sample.name]) for sample in samples if sample.name not in dropped]


def _by_stem(lists: Path, root: Path, problems: list[Problem]) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    for split, names in SPLIT_NAMES.items():
        for path in (lists / f"{name}.txt" for name in names):
            if not path.is_file():
                continue
            text, problem = read_text(path, root)
            problems += [problem] if problem else []
            for number, line in enumerate((text or "").splitlines(), 1):
                stem = line.split()[0] if line.strip() else None
                if stem is not None and splits.setdefault(stem, split) != split:
                    problems.append(Problem(f"{stem!r} is also in the list of {splits[stem]}", line=number,
                                            file=relative_name(path, root), hint="remove it from one"))
    return splits if {"train", "validation"} <= set(splits.values()) else {}
