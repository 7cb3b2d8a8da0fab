"""Groups of samples that must stay in the same split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.util.errors import Problem


def assign_groups(samples: Sequence[Sample], infos: Mapping[str, ImageInfo], group_by: str,
                  problems: list[Problem]) -> tuple[Sample, ...]:
    """``samples`` with their groups; groups that share an identical image are joined.

    ``group_by`` is ``dataset.group_by``: ``auto`` groups by what the files say, such as DICOM's patient and study,
    ``none`` not at all, anything else is a regular expression for the path. Frames of a file stay together unless it is
    ``none``.
    """
    named = _by_pattern(samples, group_by, problems) if group_by not in ("auto", "none") else {}
    if group_by == "auto":
        named = _by_file(samples, infos)
    joined = _Joined()
    for sample in samples:
        keys = [f"content {infos[sample.name].content(sample.frame, sample.key)}"]
        keys += named.get(sample.key, ())
        if sample.group is not None:
            keys.append(f"given {sample.group}")
        if sample.frame is not None and group_by != "none":
            keys.append(f"file {sample.name}")
        joined.join(f"sample {sample.key}", *keys)
    roots = [joined.root(f"sample {sample.key}") for sample in samples]
    sizes = Counter(roots)
    return tuple(replace(sample, group=root if sizes[root] > 1 else None)
                 for sample, root in zip(samples, roots, strict=True))


def _by_file(samples: Sequence[Sample], infos: Mapping[str, ImageInfo]) -> dict[str, tuple[str, ...]]:
    """What each file is part of. A patient of all files, as some anonymisation leaves it, is left out where they have
    studies."""
    groups = {sample.key: known for sample in samples if (known := infos[sample.name].groups)}
    everywhere = set.intersection(*map(set, groups.values())) if groups else set()
    return {key: tuple(name for name in known if name not in everywhere) or known[-1:]
            for key, known in groups.items()}


def _by_pattern(samples: Sequence[Sample], text: str, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        problems.append(Problem(f"dataset.group_by={text} is not a valid regular expression: {error}",
                                hint="for example dataset.group_by='(patient\\d+)', quoted for the shell"))
        return {}
    found: dict[str, tuple[str, ...]] = {}
    unmatched = []
    for sample in samples:
        match = pattern.search(sample.name)
        if match is None:
            unmatched.append(sample.name)
        else:
            found[sample.key] = (f"match {match.group(1) if pattern.groups else match.group()}",)
    if unmatched:
        problems.append(Problem(f"dataset.group_by={text} matches nothing in {len(unmatched)} paths, such as "
                                f"{unmatched[0]}; each of these is a group of its own", severity="warning"))
    return found


class _Joined:
    """Disjoint sets of names: joined names have the same root."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        while (parent := self._parent.setdefault(name, name)) != name:
            self._parent[name] = self._parent[parent]
            name = parent
        return name

    def join(self, *names: str) -> None:
        roots = sorted({self.root(name) for name in names})
        for other in roots[1:]:
            self._parent[other] = roots[0]
