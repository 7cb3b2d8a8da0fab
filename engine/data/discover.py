"""Which folder is the data set, and which format it is in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightsmith.core.contracts.annotation import Annotation, can_derive
from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.contracts.records import DatasetFormatRecord
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.engine.data.archive import unpack


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
                            hint=f"did you mean the folder it is in? dataset.root={root.parent}")
        root = unpack(root, cache_dir / "archives")
    if not any(root.iterdir()):
        raise UserError(f"dataset.root={text} is empty")
    return root.resolve()


def choose_format(root: Path, wanted: str, loaders: Sequence[DatasetFormatRecord],
                  annotation: Annotation) -> tuple[DatasetFormatRecord, str]:
    """The loader that ``dataset.format`` names, or the surest of those that detect ``root``, and why.

    Formats that can carry ``annotation`` come first. Raises UserError where none or several fit.
    """
    if wanted != "auto":
        for loader in loaders:
            if loader.name == wanted:
                return loader, "as dataset.format says"
        names = [loader.name for loader in loaders]
        raise UserError(f"dataset.format={wanted} is not known.{near(wanted, names)}",
                        hint=f"there is: auto, {', '.join(names)}")
    able = [loader for loader in loaders if can_derive(loader.annotations, annotation)]
    found = _recognised(root, able) or _recognised(root, [loader for loader in loaders if loader not in able])
    if not found:
        raise UserError(f"{root} holds no data set of a known format.", problems=_layouts(able),
                        hint="arrange it as one of these, or name the format with dataset.format=NAME")
    best = max(confidence for confidence, _, _ in found)
    tied = [(loader, reason) for confidence, loader, reason in found if confidence == best]
    if len(tied) > 1:
        raise UserError(f"{root} could be of several formats:", problems=[
            Problem(f"{loader.name}: {reason}") for loader, reason in tied],
            hint=f"say which: dataset.format={tied[0][0].name}")
    return tied[0]


def ensure_annotation(index: DatasetIndex, annotation: Annotation, task: str,
                  loaders: Sequence[DatasetFormatRecord]) -> None:
    """Raises UserError where the data set lacks the annotation that the task learns from."""
    if not can_derive([index.annotation], annotation):
        raise UserError(
            f"task={task} learns from {annotation}, and {index.root} ({index.format}) has {index.annotation} only. "
            f"Formats with {annotation}:",
            problems=_layouts([loader for loader in loaders if can_derive(loader.annotations, annotation)]),
            hint=f"annotate {annotation} in one of these formats, choose another with dataset.format=NAME, or a task "
                 f"that learns from {index.annotation}")


def _recognised(root: Path, loaders: Sequence[DatasetFormatRecord]) -> list[tuple[float, DatasetFormatRecord, str]]:
    found = []
    for loader in loaders:
        recognition = loader.make().detect(root)
        if recognition is not None:
            found.append((recognition.confidence, loader, recognition.reason))
    return found


def _layouts(loaders: Sequence[DatasetFormatRecord]) -> list[Problem]:
    return [Problem(f"{loader.name}: {loader.layout}") for loader in loaders]
