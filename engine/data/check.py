"""The check of a data set before training: every image is decoded and every problem collected."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightsmith.core.contracts.annotation import Annotation, can_derive
from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex, Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.contracts.records import DatasetFormatRecord, ImageReaderRecord
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import NAMED, PluginError, Problem, has_errors, listed
from sightsmith.core.util.text import counted
from sightsmith.engine.data.check_classes import about_classes, without_unused
from sightsmith.engine.data.check_folders import about_files
from sightsmith.engine.data.check_frames import named_frames
from sightsmith.engine.data.check_images import about_channels, about_images, about_input, probe_all
from sightsmith.engine.data.check_split import about_split
from sightsmith.engine.data.check_volumes import mask_volumes, without_misfits
from sightsmith.engine.data.class_map import read_class_map, with_class_map
from sightsmith.engine.data.convert import to_labels, to_objects
from sightsmith.engine.data.discover import choose_folder, ensure_annotation, matching_formats, read_first
from sightsmith.engine.data.groups import assign_groups
from sightsmith.engine.data.image_files import using_readers
from sightsmith.engine.data.known_folders import folders_read_once
from sightsmith.engine.data.split import split


@folders_read_once()
def check_dataset(config: Config, formats: Sequence[DatasetFormatRecord], readers: Sequence[ImageReaderRecord],
                  annotation: Annotation, cache_dir: Path, report: Callable[[str], None] | None = None, *,
                  for_evaluation: bool = False) -> CheckedDataset:
    """Find, read, check and split the data set of ``config.dataset``; richer annotation is converted to ``annotation``.

    ``formats`` and ``readers`` are the dataset formats and image readers that may be used; archives are unpacked below
    ``cache_dir``. Raises UserError only if there is nothing to read; problems of the data are collected.
    ``for_evaluation`` puts all images into ``validation``, including those of a test split, and checks neither classes
    nor split.
    """
    index, reason, problems = _read(config, formats, readers, annotation, cache_dir, report or (lambda line: None))
    every = index.samples
    if not for_evaluation:
        index = _without_test(index, problems)
    index = to_labels(index) if annotation == "labels" else to_objects(index)
    if not for_evaluation:
        index = without_unused(index, every, config.dataset.min_images_per_class, problems)
    annotated = _limited(index.samples, config)
    infos, left_out = _decoded(annotated, readers, config, for_evaluation, problems)
    index = replace(index, samples=tuple(sample for sample in annotated if sample.name in infos))
    objects = None
    index = without_misfits(index, mask_volumes(every), infos, problems)
    index = replace(index, samples=named_frames(index.samples, infos, problems))
    if annotation != "labels":
        from sightsmith.engine.data.check_objects import check_objects
        objects = check_objects(index, infos, annotation)
        index = replace(index, samples=objects.samples, annotation=annotation, relative=False)
        problems += objects.problems
    samples = assign_groups(frames_of(index.samples, infos), infos, config.dataset.group_by, problems)
    index = replace(index, samples=samples)
    problems += about_images(config, infos)
    if not for_evaluation:
        problems += about_classes(index, annotated, config.dataset.min_images_per_class, problems)
    content = {sample.key: infos[sample.name].content(sample.frame, sample.key) for sample in samples}
    prints = {sample.key: objects.prints.get(sample.key, objects.prints.get(sample.name, ""))
              for sample in samples} if objects else {}
    problems += _about_copies(index, content, prints) + _about_groups(index, content)
    train, validation = ((), samples) if for_evaluation else split(
        index.samples, config.dataset.validation_percentage, config.trainer.seed)
    if samples and not for_evaluation and not has_errors(problems):
        problems += about_split(train, validation)
    return CheckedDataset(
        index, reason, train, validation, infos, tuple(problems),
        digest((sample.key, *sample.labels, content[sample.key], *([prints[sample.key]] if prints else []))
                for sample in samples),
        digest([("train", item.key) for item in train] + [("validation", item.key) for item in validation]),
        objects.coverage if objects else {}, left_out)


def _read(config: Config, formats: Sequence[DatasetFormatRecord], readers: Sequence[ImageReaderRecord],
          annotation: Annotation, cache_dir: Path, report: Callable[[str], None],
          ) -> tuple[DatasetIndex, str, list[Problem]]:
    """The data set as its format reads it, why it is this format, and the problems so far."""
    root = choose_folder(config.dataset.root, cache_dir)
    with using_readers(readers, root):
        failed: list[PluginError] = []
        matches = matching_formats(root, config.dataset.format, formats, annotation, failed)
        index, record, reason = read_first(root, matches, annotation, report)
    problems = [problem for problem in index.problems if can_derive([annotation], problem.affects)]
    problems += [Problem(error.message, severity="warning") for error in failed]
    index = with_class_map(index, read_class_map(config.dataset.class_map), problems)
    if not index.samples and not has_errors(problems):
        problems.append(Problem("no image with an annotation was found", hint=f"{record.name} reads {record.layout}"))
    if not has_errors(problems):
        ensure_annotation(index, annotation, config.task.name, formats)
    problems += about_channels(config.image, index)
    problems += about_files(index, {problem.file for problem in problems})
    return index, reason, problems


def _decoded(samples: Sequence[Sample], readers: Sequence[ImageReaderRecord], config: Config, for_evaluation: bool,
             problems: list[Problem]) -> tuple[dict[str, ImageInfo], tuple[str, ...]]:
    """The images that can be used, by name, and the names of those that are left out."""
    unreadable: list[Problem] = []
    infos = probe_all(samples, readers, unreadable, image=config.image)
    if for_evaluation:
        wrong = {name: reason for name, info in infos.items() if (reason := about_input(info, config.image))}
        unreadable += [Problem(reason, file=name) for name, reason in wrong.items()]
        infos = {name: info for name, info in infos.items() if name not in wrong}
    skips = config.dataset.on_bad_image == "skip" and infos
    left_out = tuple(sorted({problem.file for problem in unreadable if problem.file is not None})) if skips else ()
    problems += [replace(problem, hint="it is left out", severity="warning") if problem.file in left_out else problem
                 for problem in unreadable]
    return infos, left_out


def _without_test(index: DatasetIndex, problems: list[Problem]) -> DatasetIndex:
    test = sum(sample.split == "test" for sample in index.samples)
    if test:
        problems.append(Problem(f"{counted(test, 'image of the test split is', 'images of the test split are')} not "
                                "used for training", severity="warning",
                                hint="`sightsmith evaluate` evaluates a run on them"))
    return replace(index, samples=tuple(sample for sample in index.samples if sample.split != "test"))


def _limited(samples: tuple[Sample, ...], config: Config) -> tuple[Sample, ...]:
    limit = config.dataset.limit
    if limit is None or limit >= len(samples):
        return samples
    free = [replace(sample, split=None) for sample in samples]
    _, selected = split(free, 100 * limit / len(samples), config.trainer.seed)
    names = {sample.key for sample in selected}
    return tuple(sample for sample in samples if sample.key in names)


def frames_of(samples: Iterable[Sample], infos: Mapping[str, ImageInfo]) -> tuple[Sample, ...]:
    """``samples`` whose image could be read, with its reader; a file with several frames gives one sample per frame,
    unless its annotation has done so."""
    expanded: list[Sample] = []
    for sample in samples:
        info = infos.get(sample.name)
        if info is not None and info.frames > 1 and sample.frame is None:
            expanded += [replace(sample, frame=number, reader=info.reader) for number in range(info.frames)]
        elif info is not None:
            expanded.append(replace(sample, reader=info.reader))
    return tuple(expanded)


def _about_copies(index: DatasetIndex, content: Mapping[str, str], prints: Mapping[str, str]) -> list[Problem]:
    """Images with equal pixels: data leakage, contradictory labels, or copies. ``prints`` are hashes of the objects."""
    twins = defaultdict(list)
    for sample in index.samples:
        twins[content[sample.key]].append(sample)
    problems, copies = [], []
    for same in twins.values():
        if len(same) < 2:
            continue
        names = " and ".join(sample.key for sample in same[:NAMED])
        if len({sample.split for sample in same}) > 1:
            problems.append(Problem(f"the same image is in both splits of the data set: {names}",
                                    hint="remove it from one (data leakage: the score would be inflated)"))
        elif len({frozenset(sample.labels) for sample in same}) > 1:
            problems.append(Problem(f"the same image has different labels: {names} ("
                                    f"{' / '.join(', '.join(sample.labels) or 'none' for sample in same[:NAMED])})",
                                    hint="correct the label, or remove one of them"))
        else:
            copies += same[1:]
            if len({prints.get(sample.key) for sample in same}) > 1:
                problems.append(Problem(f"the same image has different objects: {names}", severity="warning",
                                        hint="keep the better annotation; otherwise the model is trained on both"))
    if copies:
        problems.append(Problem(f"{counted(len(copies), 'image is a copy of another', 'images are copies of others')} "
                                "and in the same split: "
                                f"{listed([sample.key for sample in copies])}", severity="warning"))
    return problems


def _about_groups(index: DatasetIndex, content: Mapping[str, str]) -> list[Problem]:
    """Groups of different images (frames, a study, ``dataset.group_by``) that the data set's own split separates."""
    groups = defaultdict(list)
    for sample in index.samples:
        if sample.group is not None:
            groups[sample.group].append(sample)
    separated = []
    for members in groups.values():
        by_split = {sample.split: sample for sample in members[::-1]}
        if len(by_split) > 1 and len({content[sample.key] for sample in members}) > 1:
            separated.append(" and ".join(f"{sample.key} ({name})" for name, sample in by_split.items()))
    return [Problem(f"{counted(len(separated), 'group has', 'groups have')} images in both splits of the data "
                    f"set: {listed(separated)}",
                    hint="move all images of a group to one split (data leakage: the score would be inflated)",
                    severity="warning")] if separated else []


def digest(rows: Iterable[Sequence[str]]) -> str:
    """SHA-256 of the rows, independent of their order."""
    total = hashlib.sha256()
    for row in sorted(map(tuple, rows)):
        total.update("\0".join(row).encode("utf-8", "surrogateescape") + b"\n")
    return total.hexdigest()
