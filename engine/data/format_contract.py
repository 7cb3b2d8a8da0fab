"""Calls of dataset formats: a plugin that fails, or breaks the contract, is named with its difference."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sightsmith.core.contracts.annotation import can_derive, richest
from sightsmith.core.contracts.dataset import DatasetIndex, FormatMatch
from sightsmith.core.contracts.records import DatasetFormatRecord
from sightsmith.core.util.errors import PluginError, UserError


def detect(record: DatasetFormatRecord, root: Path) -> FormatMatch | None:
    """Whether ``root`` has the format of ``record``. Raises PluginError."""
    match = _called(record, "detect", root)
    if match is not None and not isinstance(match, FormatMatch):
        raise _broken(record, f"detect returned {type(match).__name__}, not a FormatMatch or None")
    return match


def read(record: DatasetFormatRecord, root: Path, report: Callable[[str], None]) -> DatasetIndex:
    """The data set ``root``, read by the format of ``record``. Raises PluginError."""
    index = _called(record, "read", root, report)
    if not isinstance(index, DatasetIndex):
        raise _broken(record, f"read returned {type(index).__name__}, not a DatasetIndex")
    if (fault := next(_faults(index), None)) is not None:
        raise _broken(record, fault)
    return index


def _faults(index: DatasetIndex) -> Iterator[str]:
    has = "masks" if any(sample.semantic_mask for sample in index.samples) else richest(
        sample.objects for sample in index.samples)
    if not can_derive([index.annotation], has):
        yield f"its samples have {has}, but the index states annotation={index.annotation!r}"
    classes = {*index.classes}
    for sample in index.samples:
        unknown = {*sample.labels} - classes
        if unknown and sample.split != "test":  # a class that is only tested cannot be learned, and is no class
            yield f"the sample {sample.name} has labels that are not in the index's classes: {sorted(unknown)}"
        if missing := {item.label for item in sample.objects if not item.crowd} - {*sample.labels}:
            yield f"the sample {sample.name} has objects whose classes are not in its labels: {sorted(missing)}"
        for item in sample.objects:
            if len(item.box) != 4:
                yield f"the sample {sample.name} has a box of {len(item.box)} numbers instead of 4: {item.box}"


def _called(record: DatasetFormatRecord, method: str, *arguments: Any) -> Any:
    try:
        return getattr(record.make(), method)(*arguments)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # whatever a plugin's code raises
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise _broken(record, f"{method} failed at {place.filename}:{place.lineno}: {type(error).__name__}: {error}"
                      ) from error


def _broken(record: DatasetFormatRecord, what: str) -> PluginError:
    return PluginError(f"plugin {record.provider}: dataset format {record.name!r}: {what}",
                       hint="choose another format with dataset.format=NAME, and report it to the plugin's author")
