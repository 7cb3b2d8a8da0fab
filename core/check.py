"""The check of a data set: every image is decoded, every problem collected, before anything trains."""

from __future__ import annotations

import hashlib
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightsmith.core.archive import unpack
from sightsmith.core.dataset import DatasetIndex, Sample
from sightsmith.core.errors import Problem, UserError, near
from sightsmith.core.groups import assign_groups
from sightsmith.core.images import ImageError, ImageInfo, probe
from sightsmith.core.records import DatasetLoaderRecord
from sightsmith.core.schema import Config
from sightsmith.core.split import split

SMALLEST_SIDE, LARGEST_SIDE = 16, 4096
NAMED = 5
"""How many names a summed problem gives."""


@dataclass(frozen=True)
class CheckedDataset:
    """A data set that was read and looked at; it may still have errors: :meth:`raise_for_errors`.

    ``index`` has a sample for each frame, with its group; ``infos`` is by sample name. ``data_digest``
    hashes pixels and labels, ``split_digest`` which sample is on which side.
    """

    index: DatasetIndex
    reason: str
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    infos: Mapping[str, ImageInfo]
    problems: tuple[Problem, ...]
    data_digest: str
    split_digest: str

    def raise_for_errors(self) -> None:
        """Raises UserError with every error; warnings do not count."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            count = f"{len(errors)} problem" + ("s" if len(errors) > 1 else "")
            raise UserError(f"The data set {self.index.root} has {count}:", problems=errors,
                            hint="`sightsmith inspect` with the same arguments checks it again")

    def summary(self) -> dict[str, Any]:
        """What ``inspect --json`` prints."""
        infos = list(self.infos.values())
        sides = [min(info.width, info.height) for info in infos], [max(info.width, info.height) for info in infos]
        return {
            "root": str(self.index.root), "format": self.index.format, "reason": self.reason,
            "multi_label": self.index.multi_label,
            "classes": {name: {"train": sum(name in item.labels for item in self.train),
                               "validation": sum(name in item.labels for item in self.validation)}
                        for name in self.index.classes},
            "images": {"train": len(self.train), "validation": len(self.validation)},
            "groups": len({sample.group for sample in self.index.samples if sample.group is not None}),
            "sizes": {"shortest_side": min(sides[0]), "median_side": statistics.median(sides[0]),
                      "longest_side": max(sides[1])} if infos else {},
            "channels": sorted({info.channels for info in infos}), "bits": sorted({info.bits for info in infos}),
            "modalities": sorted({info.modality for info in infos if info.modality}),
            "data_digest": self.data_digest, "split_digest": self.split_digest,
            "problems": [{"severity": item.severity, "message": item.message, "file": item.file, "line": item.line,
                          "hint": item.hint} for item in self.problems],
        }


def check_dataset(config: Config, loaders: Sequence[DatasetLoaderRecord], cache_dir: Path,
                  report: Callable[[str], None] | None = None) -> CheckedDataset:
    """Find, read, look at and split the data set that ``config.dataset`` names.

    ``loaders`` are those that may be used; archives are unpacked below ``cache_dir``. Raises UserError
    only where there is nothing to read; what is wrong with the data is collected.
    """
    say = report or (lambda line: None)
    root = _folder(config.dataset.root, cache_dir)
    loader, reason = _choose(root, config.dataset.format, loaders)
    say(f"Data set {root}: {loader.name} ({reason})")
    index: DatasetIndex = loader.build()().read(root)
    problems = list(index.problems)
    if not index.samples and not problems:
        problems.append(Problem("no image with an annotation was found", hint=f"{loader.name} reads {loader.layout}"))
    samples = _limited(index.samples, config)
    infos = _look(samples, problems)
    samples = _frames(samples, infos)
    samples = assign_groups(samples, infos, config.dataset.group_by, problems)
    index = replace(index, samples=samples)
    problems += _about_images(config, infos)
    problems += _about_classes(config, index)
    content = {sample.key: infos[sample.name].digests[sample.frame or 0] for sample in samples}
    problems += _about_copies(index, content)
    train, validation = split(index.samples, config.dataset.validation_percentage, config.trainer.seed)
    if samples and not any(problem.severity == "error" for problem in problems):
        problems += _about_split(train, validation)
    return CheckedDataset(index, reason, train, validation, infos, tuple(problems),
                          _digest((sample.key, *sample.labels, content[sample.key]) for sample in samples),
                          _digest([("train", item.key) for item in train]
                                  + [("validation", item.key) for item in validation]))


def _folder(text: str, cache_dir: Path) -> Path:
    root = Path(text).expanduser()
    if not root.exists():
        siblings = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() else []
        raise UserError(f"dataset.root={text}: there is no such folder.{near(root.name, siblings)}",
                        hint="type dataset.root=FOLDER (or a zip), or dataset.root=sample for the embedded data set")
    if root.is_file():
        if root.suffix.lower() != ".zip":
            raise UserError(f"dataset.root={text} is a file; it must be a folder or a zip",
                            hint=f"did you mean the folder it is in? dataset.root={root.parent}")
        root = unpack(root, cache_dir / "archives")
    if not any(root.iterdir()):
        raise UserError(f"dataset.root={text} is empty")
    return root.resolve()


def _choose(root: Path, wanted: str, loaders: Sequence[DatasetLoaderRecord]) -> tuple[DatasetLoaderRecord, str]:
    if wanted != "auto":
        for loader in loaders:
            if loader.name == wanted:
                return loader, "as dataset.format says"
        names = [loader.name for loader in loaders]
        raise UserError(f"dataset.format={wanted} is not known.{near(wanted, names)}",
                        hint=f"there is: auto, {', '.join(names)}")
    found = []
    for loader in loaders:
        recognition = loader.build()().recognise(root)
        if recognition is not None:
            found.append((recognition.confidence, loader, recognition.reason))
    if not found:
        raise UserError(f"{root} holds no data set of a known format.", problems=[
            Problem(f"{loader.name}: {loader.layout}") for loader in loaders],
            hint="arrange it as one of these, or name the format with dataset.format=NAME")
    best = max(confidence for confidence, _, _ in found)
    tied = [(loader, reason) for confidence, loader, reason in found if confidence == best]
    if len(tied) > 1:
        raise UserError(f"{root} could be of several formats:", problems=[
            Problem(f"{loader.name}: {reason}") for loader, reason in tied],
            hint=f"say which: dataset.format={tied[0][0].name}")
    return tied[0]


def _limited(samples: tuple[Sample, ...], config: Config) -> tuple[Sample, ...]:
    limit = config.dataset.limit
    if limit is None or limit >= len(samples):
        return samples
    free = [replace(sample, split=None) for sample in samples]
    _, drawn = split(free, 100 * limit / len(samples), config.trainer.seed)
    names = {sample.key for sample in drawn}
    return tuple(sample for sample in samples if sample.key in names)


def _look(samples: Sequence[Sample], problems: list[Problem]) -> dict[str, ImageInfo]:
    """Decode every file; one that cannot be used becomes a problem."""
    files = {sample.name: sample for sample in samples}

    def look(sample: Sample) -> ImageInfo | str:
        try:
            return probe(sample.path)
        except ImageError as error:
            return str(error)

    infos = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for name, found in zip(files, pool.map(look, files.values()), strict=True):
            if isinstance(found, ImageInfo):
                infos[name] = found
            else:
                sample = files[name]
                where = f" (named in {sample.file}:{sample.line})" if sample.line else ""
                problems.append(Problem(f"cannot be used as an image: {found}{where}", file=name,
                                        hint="replace the file, or take it out of the data set"))
    return infos


def _frames(samples: Iterable[Sample], infos: Mapping[str, ImageInfo]) -> tuple[Sample, ...]:
    expanded: list[Sample] = []
    for sample in samples:
        info = infos.get(sample.name)
        if info is not None and info.frames > 1:
            expanded += [replace(sample, frame=number) for number in range(info.frames)]
        elif info is not None:
            expanded.append(sample)
    return tuple(expanded)


def _about_images(config: Config, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    problems = []
    for name, info in infos.items():
        if not (min(info.width, info.height) >= SMALLEST_SIDE and max(info.width, info.height) <= LARGEST_SIDE):
            problems.append(Problem(f"is {info.width} x {info.height} px; each side must be {SMALLEST_SIDE} to "
                                    f"{LARGEST_SIDE} px", file=name, hint="resize it, or take it out"))
    image = config.image
    if image.range is None:
        free = {name: info for name, info in infos.items() if info.bits > 16 and not (info.modality and image.windows)}
        if free:
            problems.append(Problem(f"{len(free)} images of more than 16 bits or with decimals have no natural black "
                                    f"and white: {_names(free)}",
                                    hint="say what is black and white with image.range=[low,high]"))
        deep = {name: info for name, info in infos.items() if info.bits == 16 and not info.modality}
        top = max((info.maximum for info in deep.values()), default=0)
        if deep and 0 < top < 65535 / 8:
            problems.append(Problem(f"{len(deep)} images of 16 bits use values up to {top:g} only, and will be dark",
                                    hint=f"image.range=[0,{top:g}] uses the whole scale", severity="warning"))
    if image.windows:
        plain = {name: info for name, info in infos.items() if not info.modality}
        if plain:
            problems.append(Problem(f"image.windows says nothing to {len(plain)} images that are not DICOM: "
                                    f"{_names(plain)}", severity="warning"))
    return problems


def _about_classes(config: Config, index: DatasetIndex) -> list[Problem]:
    counts = Counter(label for sample in index.samples for label in set(sample.labels))
    least = config.dataset.min_images_per_class
    problems = [
        Problem(f"the class {name!r} has {counts[name]} image{'' if counts[name] == 1 else 's'}; at least {least} are "
                "needed", hint=f"add images, take the class out, or set dataset.min_images_per_class={counts[name]}"
                if counts[name] else "add images, or take the class out")
        for name in index.classes if counts[name] < least]
    if not index.multi_label and len(index.classes) == 1:
        problems.append(Problem(f"there is only one class, {index.classes[0]!r}; a classifier needs two",
                                hint="add images of another class"))
    return problems


def _about_copies(index: DatasetIndex, content: Mapping[str, str]) -> list[Problem]:
    """The same pixels twice: leakage, contradiction, or a mere copy."""
    twins = defaultdict(list)
    for sample in index.samples:
        twins[content[sample.key]].append(sample)
    problems, copies = [], []
    for same in twins.values():
        if len(same) < 2:
            continue
        names = " and ".join(sample.key for sample in same[:NAMED])
        if len({sample.split for sample in same}) > 1:
            problems.append(Problem(f"the same picture is on both sides of the given split: {names}",
                                    hint="take it out of one side: its score would be learnt by heart"))
        elif len({frozenset(sample.labels) for sample in same}) > 1:
            problems.append(Problem(f"the same picture has different labels: {names} ("
                                    f"{' / '.join(', '.join(sample.labels) or 'none' for sample in same[:NAMED])})",
                                    hint="correct the label, or take one out"))
        else:
            copies += same[1:]
    if copies:
        problems.append(Problem(f"{len(copies)} pictures are copies of others, kept on the same side: "
                                f"{_names([sample.key for sample in copies])}", severity="warning"))
    return problems


def _about_split(train: Sequence[Sample], validation: Sequence[Sample]) -> list[Problem]:
    problems = [Problem(f"the split leaves no image for {side}",
                        hint="change dataset.validation_percentage, add images, or regroup with dataset.group_by")
                for side, part in (("training", train), ("validation", validation)) if not part]
    seen = {label for sample in train for label in sample.labels}
    for label in sorted({label for sample in validation for label in sample.labels} - seen):
        problems.append(Problem(f"the class {label!r} has images in validation only, so it cannot be learnt",
                                hint="move some of its images to training, or regroup with dataset.group_by"))
    return problems


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")


def _digest(rows: Iterable[Sequence[str]]) -> str:
    total = hashlib.sha256()
    for row in sorted(map(tuple, rows)):
        total.update("\0".join(row).encode("utf-8", "surrogateescape") + b"\n")
    return total.hexdigest()
