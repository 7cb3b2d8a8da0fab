"""The folder and the format of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightsmith.core.contracts.annotation import Annotation, can_derive
from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.contracts.records import DatasetFormatRecord
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.image_files import unread_pictures


def choose_folder(text: str, cache_dir: Path) -> Path:
    """The folder that ``dataset.root`` names; a zip is unpacked below ``cache_dir``. Raises UserError."""
    root = Path(text).expanduser()
    if not root.exists():
        siblings = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() else []
        raise UserError(f"dataset.root={text}: there is no such folder.{near(root.name, siblings)}",
                        hint="type dataset.root=FOLDER (or a zip), or dataset.root=sample for the embedded data set")
    if root.is_file():
        if root.suffix.lower() != ".zip":
            raise UserError(f"dataset.root={text} is a file; it must be a folder or a zip",
                            hint=f"did you mean its folder? dataset.root={root.parent}")
        root = unpack(root, cache_dir / "archives")
    if not any(root.iterdir()):
        raise UserError(f"dataset.root={text} is empty")
    return root.resolve()


def choose_format(root: Path, name: str, formats: Sequence[DatasetFormatRecord],
                  annotation: Annotation) -> tuple[DatasetFormatRecord, str]:
    """The format called ``name`` (``dataset.format``), or for ``auto`` the best match for ``root``, and the reason.

    Formats that can have ``annotation`` are preferred. Raises UserError if none or several match.
    """
    if name != "auto":
        for record in formats:
            if record.name == name:
                return record, "set by dataset.format"
        names = [record.name for record in formats]
        raise UserError(f"dataset.format={name}: unknown format.{near(name, names)}",
                        hint=f"formats: auto, {', '.join(names)}")
    able = [record for record in formats if can_derive(record.annotations, annotation)]
    found = _detected(root, able) or _detected(root, [record for record in formats if record not in able])
    if not found:
        if unread := unread_pictures(root):
            counts = ", ".join(f"{count} {suffix} file{'s' if count > 1 else ''}" for suffix, count in unread.items())
            raise UserError(f"{root} contains no images that can be read, but {counts}",
                            hint="convert them to PNG, TIFF or JPEG, in the same folders")
        raise UserError(f"{root} contains no data set of a known format.", problems=_layouts(able),
                        hint="arrange it as one of these, or name the format with dataset.format=NAME")
    best = max(confidence for confidence, _, _ in found)
    tied = [(record, reason) for confidence, record, reason in found if confidence == best]
    if len(tied) > 1:
        raise UserError(f"{root} matches several formats:", problems=[
            Problem(f"{record.name}: {reason}") for record, reason in tied],
            hint=f"choose one: dataset.format={tied[0][0].name}")
    return tied[0]


def ensure_annotation(index: DatasetIndex, annotation: Annotation, task: str,
                      formats: Sequence[DatasetFormatRecord]) -> None:
    """Raises UserError if the data set lacks the annotation that the task trains on."""
    if not can_derive([index.annotation], annotation):
        raise UserError(
            f"task={task} trains on {annotation}, but {index.root} ({index.format}) only has {index.annotation}. "
            f"Formats with {annotation}:",
            problems=_layouts([record for record in formats if can_derive(record.annotations, annotation)]),
            hint=f"annotate {annotation} in one of these formats, choose another with dataset.format=NAME, or a task "
                 f"that trains on {index.annotation}")


def _detected(root: Path, formats: Sequence[DatasetFormatRecord]) -> list[tuple[float, DatasetFormatRecord, str]]:
    found = []
    for record in formats:
        match = record.make().detect(root)
        if match is not None:
            found.append((match.confidence, record, match.reason))
    return found


def _layouts(formats: Sequence[DatasetFormatRecord]) -> list[Problem]:
    return [Problem(f"{record.name}: {record.layout}") for record in formats]
