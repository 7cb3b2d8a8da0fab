"""Starting weights of the OpenMMLab networks: a published network or backbone, or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sightsmith.plugin import (
    PLAIN_STEM,
    Head,
    LoadReport,
    NetworkConfig,
    NetworkRecord,
    Stem,
    WeightsFile,
    load_by_class,
    load_matching,
    read_starting_weights,
    read_weights,
)

Heads = Callable[[], Mapping[str, Head]]

QUERIES = "query_embedding.weight"
RENAMING = ("mmcv.", "mmdet.", "mmseg.")
"""Packages whose modules rename tensors of their older versions when they load them."""


def load_starting_weights(model: Any, record: NetworkRecord, chosen: NetworkConfig, classes: Sequence[str],
                          published: Callable[[], Sequence[str]], heads: Heads,
                          stem: Stem = PLAIN_STEM) -> LoadReport | None:
    """Load the file that ``chosen.weights`` stands for; None for random weights.

    ``published`` returns the classes of the published network; ``stem`` is for another number of channels. Raises
    UserError if the file is unavailable or does not fit.
    """
    starting = read_starting_weights(record, chosen, published)
    if starting is None:
        return None
    return starting.report(load_file(model, starting.file, starting.source, classes, heads, stem))


def load_file(model: Any, file: WeightsFile, source: str, classes: Sequence[str], heads: Heads,
              stem: Stem = PLAIN_STEM) -> LoadReport:
    """Load a file with a whole network or only a backbone.

    If the file lists its classes, the heads are matched to ``classes`` by name. Raises UserError if it does not fit.
    """
    whole = set(model.state_dict())
    if not any(name in whole and name.startswith("backbone.") for name in file.tensors):
        return load_matching(model.backbone, _without_prefix(file.tensors), source, stem)
    tensors = _current_names(model, file.tensors)
    if QUERIES in tensors and QUERIES in whole:
        # A small input has fewer; they belong to proposals in order of their score, so these are the first.
        tensors[QUERIES] = tensors[QUERIES][:len(model.state_dict()[QUERIES])]
    return load_by_class(model, replace(file, tensors=tensors), source, classes, heads, stem)


def load_teacher(model: Any, path: str, classes: Sequence[str], heads: Heads, stem: Stem) -> None:
    """Load the file ``path`` into the teacher network ``model``."""
    load_file(model, read_weights(Path(path)), path, classes, heads, stem)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("backbone."): value for name, value in state.items()}


def _current_names(model: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """``state`` with the names that its modules have today.

    Some modules rename in ``_load_from_state_dict`` what their older versions have saved, which is what was published.
    """
    renamed = dict(state)
    for name, module in model.named_modules():
        if type(module)._load_from_state_dict.__module__.startswith(RENAMING):
            # Renames in place; errors of shape, which it notes in the last list, are reported later.
            module._load_from_state_dict(renamed, f"{name}." if name else "", {}, False, [], [], [])
    return renamed
