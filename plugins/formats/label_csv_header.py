"""Tables that have a header or an index column, as spreadsheets and pandas write them, brought to the rows of a
``label.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from sightsmith.plugin import ImageFinder, Problem, read_integer, read_number

Rows: TypeAlias = "list[tuple[int, list[str]]]"
"""The line and the cells of each row."""

PATHS = ("path", "file", "filename", "file_name", "image", "images", "image_path", "name", "id", "image_id", "img")
CLASSES = ("class", "label", "labels", "category", "class_name", "label_name", "target")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIDES = (("x_left", "y_top", "width", "height"), ("x", "y", "w", "h"), ("x", "y", "width", "height"))
PROBED = 20
"""Rows that are compared with the first."""


def without_header(rows: Rows, root: Path, file: str, problems: list[Problem]) -> Rows:
    """``rows`` without a column that only counts them and without the header, which is added to ``problems``.

    With the names of a header, the columns of a box may have any order, or be its corners (xmin, ymin, xmax, ymax), and
    a column of 0 and 1 for each class becomes a row for each.
    """
    rows = _without_index(rows)
    if len(rows) < 2 or not _is_header(rows[0][1], rows[1:], root):
        return rows
    (line, names), rest = rows[0], rows[1:]
    problems.append(Problem(f"the first row is read as the header: {','.join(names)[:80]}", file=file, line=line,
                            severity="warning"))
    header = [name.lower() for name in names]
    boxes = _boxes(header, rest)
    return boxes if boxes is not None else _one_hot(names, rest)


def _without_index(rows: Rows) -> Rows:
    """``rows`` without the first column if it has no name in the first row and then counts."""
    counted = [read_integer(cells[0]) for _, cells in rows[1:]]
    if len(rows) < 2 or rows[0][1][0] or None in counted:
        return rows
    first = counted[0] or 0
    return [(line, cells[1:]) for line, cells in rows] if counted == list(range(first, first + len(counted))) else rows


def _is_header(first: Sequence[str], others: Rows, root: Path) -> bool:
    """Whether the ``first`` row names no image while others do, or has the usual words of a header."""
    finder = ImageFinder(root, ("", "image"))
    if _names_image(finder, first[0]):
        return False
    if {cell.lower() for cell in first} & {*PATHS, *CLASSES}:
        return True
    if set(first[1:2]) & {cell for _, cells in others for cell in cells[1:2]}:
        return False  # a row like the others, whose image is missing
    probed = others[:PROBED]
    return 2 * sum(_names_image(finder, cells[0]) for _, cells in probed) > len(probed)


def _names_image(finder: ImageFinder, text: str) -> bool:
    try:
        finder.find_frame(text)
    except ValueError as error:
        return len(error.args) > 1  # several images fit
    return True


def _boxes(header: list[str], rows: Rows) -> Rows | None:
    """The rows as path,class,x_left,y_top,width,height; None if the header does not name those columns."""
    path = next((header.index(name) for name in PATHS if name in header), None)
    label = next((header.index(name) for name in CLASSES if name in header), None)
    corners = all(name in header for name in CORNERS)
    names = CORNERS if corners else next((names for names in SIDES if all(name in header for name in names)), None)
    if path is None or label is None or names is None:
        return None
    places = [header.index(name) for name in names]
    found: Rows = []
    for line, cells in rows:
        if len(cells) != len(header):
            found.append((line, cells))
            continue
        values = [cells[place] for place in places]
        numbers = [read_number(value) for value in values]
        if corners and None not in numbers:
            left, top, right, bottom = (number or 0.0 for number in numbers)
            values = [f"{value:.12g}" for value in (left, top, right - left, bottom - top)]
        found.append((line, [cells[path], cells[label], *values]))
    return found


def _one_hot(names: Sequence[str], rows: Rows) -> Rows:
    """A row path,class,0|1 for each column of 0 and 1; ``rows`` as they are if others have none."""
    if len(names) < 3 or any(len(cells) != len(names) or not set(cells[1:]) <= {"0", "1", "0.0", "1.0"}
                             for _, cells in rows):
        return rows
    return [(line, [cells[0], name, cell[0]]) for line, cells in rows
            for name, cell in zip(names[1:], cells[1:], strict=True)]
