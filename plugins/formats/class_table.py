"""The table of classes by pixel value or colour of a semantic mask."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sightsmith.plugin import IGNORED, Problem, SemanticMask, read_integer, read_json, read_text, relative_name

FILES = ("classes.txt", "names.txt", "class_names.txt", "labels.txt", "labelmap.txt", "label_colors.txt",
         "class_dict.csv")
JSON_FILES = (("dataset.json", "labels"), ("id2label.json", None))
"""Of the Medical Segmentation Decathlon or nnU-Net, and of Hugging Face: the file, and the key of its classes."""
_AS_DECATHLON = 'write them as {"0": "background", "1": "liver"}'
BACKGROUND = ("background", "_background_", "__background__")
IGNORED_NAMES = ("void", "ignore", "ignored", "__ignore__")
"""Names of regions that are excluded from training and metrics."""

_NUMBER = r"\s*(\d{1,3})\s*"
_COLOUR_LAST = re.compile(rf"([^:,]+)[:,]{_NUMBER},{_NUMBER},{_NUMBER}(?:[:,].*)?")
_COLOUR_FIRST = re.compile(r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(.+)")
_HEADER = re.compile(r"name\s*,\s*r\s*,\s*g\s*,\s*b\s*", re.IGNORECASE)


@dataclass(frozen=True)
class ClassTable:
    """``values`` and ``colours`` (0xRRGGBB) map a pixel to its class, or to None for the background; ``ignored``
    lists the values and colours that are excluded from training and metrics."""

    values: tuple[tuple[int, str | None], ...]
    colours: tuple[tuple[int, str | None], ...] = ()
    ignored: tuple[int, ...] = (IGNORED,)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, name in (*self.values, *self.colours) if name is not None))

    def semantic_mask(self, path: Path, name: str, colour: bool) -> SemanticMask:
        return SemanticMask(path, name, self.colours if colour else self.values, self.ignored)


def from_names(names: Iterable[str]) -> ClassTable:
    """Classes numbered in the order of ``names``: from 0 if the first is the background, else from 1."""
    return _table([(name, None) for name in names])


def from_values(values: Iterable[int]) -> ClassTable:
    """A class for each value, named by its number. 0 is the background; 255 is ignored, unless it is the only other
    value: then the masks are black and white, and it is the class."""
    found = sorted(set(values) - {0})
    if found != [IGNORED]:
        found = [value for value in found if value != IGNORED]
    return ClassTable(((0, None), *((value, str(value)) for value in found)), (),
                      () if found == [IGNORED] else (IGNORED,))


def read_class_table(root: Path, folders: Iterable[Path], problems: list[Problem]) -> tuple[ClassTable, str] | None:
    """The first of :data:`FILES` in ``folders``, or else of :data:`JSON_FILES`, with its name; None if there is none.

    The first have one class per line, without a colour or as ``name,r,g,b``, ``name:r,g,b:...`` or ``r g b name``.
    """
    places = tuple(folders)
    path = next((folder / file for folder in places for file in FILES if os.path.isfile(folder / file)), None)
    if path is None:
        return _of_json(root, places, problems)
    text, problem = read_text(path, root)
    problems += [problem] if problem else []
    rows: list[tuple[str, tuple[int, int, int] | None]] = []
    for number, line in enumerate((text or "").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#") or _HEADER.fullmatch(line):
            continue
        name, colour = _row(line)
        if any(name == other for other, _ in rows):
            problems.append(Problem(f"the class {name!r} is duplicated", file=relative_name(path, root), line=number))
        elif colour is not None and max(colour) > 255:
            problems.append(Problem(f"{colour} is not a colour: values are 0 to 255", file=relative_name(path, root),
                                    line=number))
        else:
            rows.append((name, colour))
    if not rows and problem is None:
        problems.append(Problem("lists no classes", file=relative_name(path, root), hint="write one class per line"))
    return _table(rows), relative_name(path, root)


def _of_json(root: Path, folders: Iterable[Path], problems: list[Problem]) -> tuple[ClassTable, str] | None:
    """Classes as the Decathlon and Hugging Face have them, ``{"1": "liver"}``, or as nnU-Net, ``{"liver": 1}``."""
    for path, below in ((folder / file, key) for folder in folders for file, key in JSON_FILES):
        if not os.path.isfile(path):
            continue
        content, problem = read_json(path, root)
        problems += [problem] if problem else []
        labels = content if below is None else content.get(below) if isinstance(content, dict) else None
        name = relative_name(path, root)
        if isinstance(labels, list) and labels and str(labels[0]).lower() in BACKGROUND:
            labels = dict(enumerate(labels))
        if not isinstance(labels, dict):
            if labels is not None:
                problems.append(Problem("its labels have no numbers", file=name, hint=_AS_DECATHLON))
            continue
        values: dict[int, str] = {}
        for key, value in labels.items():
            number, label = (read_integer(key), value) if isinstance(value, str) else (read_integer(value), key)
            if number is None or not isinstance(label, str) or number in values or label in values.values():
                problems.append(Problem(f"its labels have {key!r}: {value!r}, which is not a class and its number of "
                                        "its own", file=name, hint=_AS_DECATHLON))
            else:
                values[number] = label
        ignored = tuple(number for number, label in values.items() if label.lower() in IGNORED_NAMES)
        return ClassTable(tuple((number, None if label.lower() in BACKGROUND else label) for number, label in sorted(
            {0: BACKGROUND[0], **values}.items()) if number not in ignored), ignored=ignored or (IGNORED,)), name
    return None


def _row(line: str) -> tuple[str, tuple[int, int, int] | None]:
    if match := _COLOUR_LAST.fullmatch(line):
        name, *colour = match.groups()
    elif match := _COLOUR_FIRST.fullmatch(line):
        *colour, name = match.groups()
    else:
        return line, None
    red, green, blue = map(int, colour)
    return name.strip(), (red, green, blue)


def _table(rows: list[tuple[str, tuple[int, int, int] | None]]) -> ClassTable:
    rows = rows[1:] if rows and rows[0][0].lower() == "__ignore__" else rows  # LabelMe's -1
    first = 0 if rows and (rows[0][0].lower() in BACKGROUND or rows[0][1] == (0, 0, 0)) else 1
    values: dict[int, str | None] = {0: None}
    colours: dict[int, str | None] = {0: None}
    ignored = {IGNORED}
    for number, (name, colour) in enumerate(rows, first):
        packed = colour[0] << 16 | colour[1] << 8 | colour[2] if colour else None
        if name.lower() in IGNORED_NAMES:
            ignored |= {number} if packed is None else {number, packed}
            continue
        label = None if name.lower() in BACKGROUND else name
        values[number] = label
        if packed is not None:
            colours[packed] = label
    return ClassTable(tuple(values.items()), tuple(colours.items()) if len(colours) > 1 else (), tuple(sorted(ignored)))
