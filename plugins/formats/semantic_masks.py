"""Images with a picture of classes each: what the two formats that have them share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightsmith.plugin import IGNORED, DatasetIndex, MaskError, Problem, Sample, listed, picture_values
from sightsmith.plugins.formats.class_table import ClassTable, used_values
from sightsmith.plugins.formats.files import relative

SHOWN = 20
"""The most classes that are taken from the values of pictures; more look like numbers of objects."""


def index_of_maps(root: Path, form: str, pairs: Sequence[tuple[Path, Path]], named: tuple[ClassTable, str] | None,
                  problems: list[Problem]) -> DatasetIndex:
    """The data set of images and their pictures, in ``pairs``; labels are the classes that a picture shows.

    Without a table (and its name), every value that is used is a class. Every picture is decoded.
    """
    found: list[tuple[Path, Path, frozenset[int], bool]] = []
    for image, picture in pairs:
        try:
            values, colour = picture_values(picture)
            found.append((image, picture, frozenset(np.unique(values).tolist()), colour))
        except MaskError as error:
            problems.append(Problem(str(error), file=relative(picture, root)))
    used = frozenset(value for *_, values, colour in found if not colour for value in values)
    table, source = named or (used_values(used), None)
    if named is None and len(table.classes) > SHOWN:
        problems.append(Problem(f"the maps have {len(table.classes)} values; are they numbers of objects instead of "
                                "classes?", hint="write a classes.txt with a class a line"))
    if named is not None and IGNORED in used and used <= {0, IGNORED} and len(table.classes) == 1:
        table = replace(used_values(used), values=((0, None), (IGNORED, table.classes[0])))
    if IGNORED in used and not table.ignored:
        problems.append(Problem(f"the maps are black and white: {IGNORED} is taken for the class {table.classes[0]!r}",
                                severity="warning"))
    strange = [relative(picture, root) for _, picture, _, colour in found if colour and not table.colours]
    if strange:
        problems.append(Problem(
            f"{len(strange)} maps are colour pictures, and {source or 'no file'} says which colour is which class: "
            f"{listed(strange)}", hint="save them as grey or palette PNG, or write a class_dict.csv: name,r,g,b"))
    samples = []
    for image, picture, shown, colour in found:
        if colour and not table.colours:
            continue
        semantic_mask = table.map_of(picture, relative(picture, root), colour)
        names = {name for value, name in semantic_mask.values if value in shown}
        samples.append(Sample(image, relative(image, root), tuple(name for name in table.classes if name in names),
                              file=semantic_mask.name, semantic_mask=semantic_mask))
    return DatasetIndex(root, form, table.classes, tuple(samples), problems=tuple(problems), annotation="masks")


def about_unpaired(root: Path, images: Iterable[Path], pictures: Iterable[Path]) -> list[Problem]:
    """What is told of images without a picture, and of pictures without an image."""
    return [Problem(f"{len(found)} {message}: {listed(found)}", severity="warning")
            for message, found in (
                ("images have no map of classes and are left out", [relative(path, root) for path in images]),
                ("maps of classes belong to no image", [relative(path, root) for path in pictures])) if found]
