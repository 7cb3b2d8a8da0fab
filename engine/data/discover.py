"""The folder and the format of a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from sightsmith.core.contracts.annotation import ANNOTATION_ORDER, Annotation, can_derive
from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.contracts.records import DatasetFormatRecord
from sightsmith.core.util.errors import PluginError, Problem, UserError, listed, near
from sightsmith.core.util.files import typed_path
from sightsmith.core.util.text import counted, one_line
from sightsmith.engine.data import format_contract
from sightsmith.engine.data.annotation_files import files_in, subfolders
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.foreign import foreign_annotation
from sightsmith.engine.data.image_files import unread_pictures

CERTAIN = 0.8
"""Confidence of a match from which on a format of the annotation itself is preferred."""
PROSE = ("readme", "license", "licence", "notes", "citation", "thumbs", "desktop")
"""Beginnings of the names of files that are no data."""


def choose_folder(text: str, cache_dir: Path) -> Path:
    """The folder that ``dataset.root`` names; a zip is unpacked below ``cache_dir``. Raises UserError."""
    root = typed_path(text)
    if not text or not os.path.exists(root):  # unlike Path.exists, also for a name that is too long for a file
        siblings = [path.name for path in root.parent.iterdir()] if os.path.isdir(root.parent) else []
        raise UserError(f"dataset.root={text}: there is no such folder.{near(root.name, siblings)}",
                        hint="type dataset.root=FOLDER (or a zip), or dataset.root=sample for the embedded data set")
    if root.is_file():
        if root.suffix.lower() != ".zip":
            raise UserError(f"dataset.root={text} is a file; it must be a folder or a zip",
                            hint=f"did you mean its folder? dataset.root={root.parent}")
        root = unpack(root, cache_dir / "archives")
    try:
        empty = not any(root.iterdir())
    except OSError as error:
        raise UserError(f"dataset.root={text} cannot be read: {error.strerror}") from error
    if empty:
        raise UserError(f"dataset.root={text} is empty")
    return unwrapped(root.resolve())


def unwrapped(root: Path) -> Path:
    """The folder inside ``root`` that holds the data set, if there is nothing else on the way: archives that were
    unpacked twice, ``images/<class>/``, or ``train/<class>/`` alone."""
    while True:
        inner = subfolders(root, root)
        files = [path for path in files_in(root) if not path.stem.lower().startswith(PROSE)]
        if len(inner) != 1 or files or inner[0].is_symlink() or not subfolders(inner[0], root) \
                or inner[0].name.lower() == "classes":  # a part of the names of images
            return root
        root = inner[0]


def matching_formats(root: Path, name: str, formats: Sequence[DatasetFormatRecord], annotation: Annotation,
                     failed: list[PluginError]) -> list[tuple[DatasetFormatRecord, str]]:
    """The format called ``name`` (``dataset.format``), or for ``auto`` those that match ``root``, the best first, each
    with its reason.

    Formats of ``annotation`` itself are preferred to those from which it is derived. One that fails in detecting is
    left out and added to ``failed``. Raises UserError if none matches, if the first two match equally well, or if there
    is annotation that no format reads.
    """
    if name != "auto":
        for record in formats:
            if record.name == name:
                return [(record, "set by dataset.format")]
        names = [record.name for record in formats]
        raise UserError(f"dataset.format={name}: unknown format.{near(name, names)}",
                        hint=f"formats: auto, {', '.join(names)}")
    able = [record for record in formats if can_derive(record.annotations, annotation)]
    found = _detected(root, able, failed)
    if not found and (foreign := foreign_annotation(root)):
        raise UserError(f"{root} has annotation that no format of {annotation} reads:", problems=foreign,
                        hint="`sightsmith list formats` shows what is read")
    found = found or _detected(root, [record for record in formats if record not in able], failed)
    if not found and failed:
        raise failed[0]
    if not found:
        if unread := unread_pictures(root):
            counts = ", ".join(f"{counted(count, f'{suffix} file')}" for suffix, count in unread.items())
            raise UserError(f"{root} contains no images that can be read, but {counts}",
                            hint="convert them to PNG, TIFF or JPEG, in the same folders")
        zips = [path.name for path in files_in(root) if path.suffix.lower() == ".zip"]
        raise UserError(f"{root} contains no data set of a known format.", problems=_layouts(able),
                        hint=f"unpack its zips, each into a folder of its own: {listed(zips)}" if zips else
                        "arrange it as one of these, or name the format with dataset.format=NAME")
    ranks = {record.name: (confidence < CERTAIN, annotation not in record.annotations, -confidence)
             for confidence, record, _ in found}
    found.sort(key=lambda match: ranks[match[1].name])
    tied = [name for name, rank in ranks.items() if rank == min(ranks.values())]
    if len(tied) > 1:
        raise UserError(f"{root} matches several formats:", problems=[
            Problem(f"{record.name}: {reason}") for _, record, reason in found if record.name in tied],
            hint=f"choose one: dataset.format={tied[0]}")
    return [(record, reason) for _, record, reason in found]


def read_first(root: Path, matches: Sequence[tuple[DatasetFormatRecord, str]], annotation: Annotation,
               report: Callable[[str], None]) -> tuple[DatasetIndex, DatasetFormatRecord, str]:
    """The index by the first of ``matches`` that has ``annotation``, by the first of all if none has; its record and
    the reason. ``report`` gets a line with the format, and one for each other that would fit."""
    tried: list[tuple[DatasetIndex, DatasetFormatRecord, str, list[str]]] = []
    for record, reason in matches:
        lines: list[str] = []
        tried.append((format_contract.read(record, root, lines.append), record, reason, lines))
        if can_derive([tried[-1][0].annotation], annotation):
            break
    chosen = tried[-1] if can_derive([tried[-1][0].annotation], annotation) else tried[0]
    index, record, reason, lines = chosen
    report(one_line(f"Data set {root}: {record.name} ({reason})"))
    for other, why in matches:
        if other is not record and can_derive(other.annotations, annotation):
            report(one_line(f"It would also fit {other.name} ({why}): dataset.format={other.name}"))
    for line in lines:
        report(one_line(line))
    return index, record, reason


def read_richest(root: Path, formats: Sequence[DatasetFormatRecord]) -> tuple[DatasetIndex, str]:
    """The index by the format that matches ``root`` and has the richest annotation, and the format with the reason.

    Raises UserError if none matches."""
    found = _detected(root, formats, [])
    if not found:
        matching_formats(root, "auto", formats, ANNOTATION_ORDER[0], [])  # says what is there instead
    _, record, reason = min(found, key=lambda match: (
        match[0] < CERTAIN, -max(map(ANNOTATION_ORDER.index, match[1].annotations)), -match[0]))
    return format_contract.read(record, root, lambda line: None), f"{record.name}: {reason}"


def ensure_annotation(index: DatasetIndex, annotation: Annotation, task: str,
                      formats: Sequence[DatasetFormatRecord]) -> None:
    """Raises UserError if the data set lacks the annotation that the task trains on."""
    if not can_derive([index.annotation], annotation):
        raise UserError(
            f"task={task} trains on {annotation}, but {index.root} ({index.format}) only has {index.annotation}. "
            f"Formats with {annotation}:",
            problems=[*([] if any(sample.file for sample in index.samples) else foreign_annotation(index.root)),
                      *_layouts([record for record in formats if can_derive(record.annotations, annotation)])],
            hint=f"annotate {annotation} in one of these formats, choose another with dataset.format=NAME, or a task "
                 f"that trains on {index.annotation}")


def _detected(root: Path, formats: Sequence[DatasetFormatRecord], failed: list[PluginError],
              ) -> list[tuple[float, DatasetFormatRecord, str]]:
    found = []
    for record in formats:
        try:
            match = format_contract.detect(record, root)
        except PluginError as error:  # perhaps another format is the right one
            failed.append(error)
            continue
        if match is not None:
            found.append((match.confidence, record, match.reason))
    return found


def _layouts(formats: Sequence[DatasetFormatRecord]) -> list[Problem]:
    return [Problem(f"{record.name}: {record.layout}") for record in formats]
