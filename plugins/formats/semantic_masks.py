"""What the two formats with semantic masks share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightsmith.plugin import IGNORED, DatasetIndex, MaskError, Problem, Sample, listed, picture_values, relative_name
from sightsmith.plugins.formats.class_table import ClassTable, from_values

MAX_UNNAMED_CLASSES = 20
"""Without a class table, more distinct values than this look like object ids."""


def index_of_masks(root: Path, form: str, pairs: Sequence[tuple[Path, Path]], named: tuple[ClassTable, str] | None,
                   problems: list[Problem]) -> DatasetIndex:
    """The data set of ``pairs`` of images and semantic masks; the labels of an image are the classes in its mask.

    ``named`` is the class table and its file; without one, every value in use is a class. Every mask is decoded.
    """
    found: list[tuple[Path, Path, frozenset[int], bool]] = []
    for image, path in pairs:
        try:
            values, colour = picture_values(path)
            found.append((image, path, frozenset(np.unique(values).tolist()), colour))
        except MaskError as error:
            problems.append(Problem(str(error), file=relative_name(path, root)))
    used = frozenset(value for *_, values, colour in found if not colour for value in values)
    table, source = named or (from_values(used), None)
    if named is None and len(table.classes) > MAX_UNNAMED_CLASSES:
        problems.append(Problem(f"the semantic masks have {len(table.classes)} values; are they object ids instead "
                                "of classes?", hint="write a classes.txt with one class per line"))
    if named is not None and IGNORED in used and used <= {0, IGNORED} and len(table.classes) == 1:
        table = replace(from_values(used), values=((0, None), (IGNORED, table.classes[0])))
    if IGNORED in used and not table.ignored:
        problems.append(Problem(f"the semantic masks are black and white: {IGNORED} is read as the class "
                                f"{table.classes[0]!r}", severity="warning"))
    unknown = [relative_name(path, root) for _, path, _, colour in found if colour and not table.colours]
    if unknown:
        problems.append(Problem(
            f"{len(unknown)} semantic masks are in colour, and {source or 'no file'} maps no colours to classes: "
            f"{listed(unknown)}", hint="save them as grey or palette PNG, or write a class_dict.csv: name,r,g,b"))
    samples = []
    for image, path, shown, colour in found:
        if colour and not table.colours:
            continue
        semantic_mask = table.semantic_mask(path, relative_name(path, root), colour)
        names = {name for value, name in semantic_mask.values if value in shown}
        samples.append(Sample(image, relative_name(image, root), tuple(name for name in table.classes if name in names),
                              file=semantic_mask.name, semantic_mask=semantic_mask))
    return DatasetIndex(root, form, table.classes, tuple(samples), problems=tuple(problems), annotation="masks")


def about_unpaired(root: Path, images: Iterable[Path], masks: Iterable[Path]) -> list[Problem]:
    """Warnings about ``images`` without a mask and ``masks`` without an image."""
    return [Problem(f"{len(found)} {message}: {listed(found)}", severity="warning")
            for message, found in (
                ("images have no semantic mask and are ignored", [relative_name(path, root) for path in images]),
                ("semantic masks have no image", [relative_name(path, root) for path in masks])) if found]
