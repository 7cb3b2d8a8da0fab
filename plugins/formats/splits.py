"""A data set's own split, from the names of its folders or from lists."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from sightsmith.plugin import (
    Problem,
    Sample,
    Split,
    counted,
    files_in,
    listed,
    read_integer,
    read_text,
    relative_name,
    split_of,
    stem_of,
)

POOL = "trainval"
"""Pascal VOC's name of the list of all images that are not in the test."""


def with_split(samples: Sequence[Sample], root: Path, problems: list[Problem],
               lists: Path | None = None) -> list[Sample]:
    """``samples`` with the data set's own split, if there is one; images outside it are dropped with a warning.

    It comes from text files in the folder ``lists`` (``train.txt``, ``val.txt``, ``trainval.txt``, ``test.txt``), which
    name an image in a line, or from the names of the images' folders.
    """
    by_list = _read_lists(lists, samples, root, problems) if lists is not None and os.path.isdir(lists) else {}
    if by_list:
        return _by_lists(samples, by_list, problems)
    splits = {sample.name: _of_folders(sample.name) for sample in samples}
    if not {"train", "validation"} <= set(splits.values()):
        return [replace(sample, split="test" if splits[sample.name] == "test" else None) for sample in samples]
    return _chosen(samples, splits, problems)


def _of_folders(name: str) -> Split | None:
    return next((split for folder in Path(name).parts[:-1] if (split := split_of(folder))), None)


def _chosen(samples: Sequence[Sample], splits: Mapping[str, Split | None], problems: list[Problem]) -> list[Sample]:
    """The samples with a split."""
    if outside := [sample.name for sample in samples if splits[sample.name] is None]:
        problems.append(Problem(f"{counted(len(outside), 'image is', 'images are')} in no split and ignored: "
                                f"{listed(outside)}", severity="warning"))
    return [replace(sample, split=splits[sample.name]) for sample in samples if splits[sample.name] is not None]


def _by_lists(samples: Sequence[Sample], lists: Mapping[str, set[str]], problems: list[Problem]) -> list[Sample]:
    """The samples as the sets of names in ``lists``, by split or :data:`POOL`, divide them."""
    splits: dict[str, Split | None] = dict.fromkeys(sample.name for sample in samples)
    given: tuple[Split, ...] = ("train", "validation", "test")
    for split in given:
        splits |= dict.fromkeys(lists.get(split, ()), split)
    if lists.keys() >= {"train", "validation"}:
        return _chosen(samples, splits, problems)
    if "validation" in lists:
        rest = [name for name, split in splits.items() if split is None]
        problems.append(Problem("there is a list of the validation images and none of the training images: the other "
                                f"{len(rest)} are used for training", severity="warning"))
        return [replace(sample, split=splits[sample.name] or "train") for sample in samples]
    pool = lists.get("train", set()) | lists.get(POOL, set()) or {name for name, split in splits.items() if not split}
    outside = [sample.name for sample in samples if sample.name not in pool and splits[sample.name] != "test"]
    if outside:
        problems.append(Problem(f"{counted(len(outside), 'image is', 'images are')} in no list and ignored: "
                                f"{listed(outside)}", severity="warning"))
    return [replace(sample, split="test" if splits[sample.name] == "test" else None)
            for sample in samples if sample.name in pool or splits[sample.name] == "test"]


def _read_lists(folder: Path, samples: Sequence[Sample], root: Path, problems: list[Problem]) -> dict[str, set[str]]:
    """The names of the samples in each list of ``folder``, by split or :data:`POOL`."""
    known: dict[str, str] = {}
    for sample in samples:
        for key in (stem_of(sample.path), sample.path.name, sample.name):
            known[key] = sample.name
    found: dict[str, set[str]] = {}
    first: dict[str, tuple[str, str]] = {}
    for path in files_in(folder):
        split = POOL if path.stem.lower() == POOL else split_of(path.stem)
        if split is None or path.suffix.lower() != ".txt":
            continue
        text, problem = read_text(path, root)
        file = relative_name(path, root)
        problems += [problem] if problem else []
        names, unknown = found.setdefault(split, set()), []
        for number, line in enumerate((text or "").splitlines(), 1):
            name = _known(line.strip(), known)
            if name is None:
                unknown += [(number, line.strip())] if line.strip() else []
                continue
            names.add(name)
            if split != POOL and first.setdefault(name, (split, file))[0] != split:
                problems.append(Problem(f"{line.strip()!r} is also in the list {first[name][1]}", file=file,
                                        line=number, hint="remove it from one"))
        if unknown:
            problems.append(Problem(f"{len(unknown)} of its lines do not name an annotated image, such as "
                                    f"{unknown[0][1]!r}",
                                    file=file, line=unknown[0][0], severity="warning" if names else "error",
                                    hint="a line is the name of an image"))
    return found


def _known(line: str, known: Mapping[str, str]) -> str | None:
    """The sample that ``line`` of a list names: by its path, its file's name or its stem; Pascal VOC's lists may have a
    number after it."""
    parts = PurePosixPath(line.replace("\\", "/"))
    words = [*line.rsplit(maxsplit=1), "", ""]  # no word in an empty line
    first = words[0] if read_integer(words[1]) is not None else line
    return next((known[text] for text in (line, str(parts), parts.name, parts.stem, first) if text in known), None)
