"""Hugging Face's image folder: images, with a ``metadata.jsonl`` or ``metadata.csv`` beside or above them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Problem,
    counted,
    images_in,
    listed,
    read_head,
    read_text,
    relative_name,
    walk_files,
)
from sightsmith.plugins.formats.hf_names import names_in_card
from sightsmith.plugins.formats.hf_rows import BOXES, LABELS, OBJECTS, RowReader, choose_columns
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset

NAMES = ("metadata.jsonl", "metadata.csv")
IMAGE_KEY = "file_name"
KNOWN = frozenset({*LABELS, *OBJECTS, *BOXES})
"""Columns of which one makes a table one of labels or boxes."""


class HfImageFolder:
    """A table of images in each folder of a split, or one above all.

    ``file_name`` is relative to the table. A column ``label`` has a class or a list of them, a column ``objects`` lists
    of boxes [x, y, width, height] in pixels and of their categories. Classes that are numbers are named by the
    ``dataset_info`` of a ``README.md``. The names of folders say the split.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = next((path for path in _tables(root) if _is_annotated(path, root)), None)
        return FormatMatch(0.935, f"a table {relative_name(found, root)} as Hugging Face reads it") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "hf_image_folder")
        names = names_in_card(root)
        numbered: set[str] = set()
        files = list(_tables(root))
        if not files:
            data.problems.append(Problem(f"no {' or '.join(NAMES)} was found"))
        for path in files:
            numbered |= _read_table(path, data, names)
        data.problems += about_numbers(numbered) + _about_unlisted(data) if files else []
        return data.index()


def _read_table(path: Path, data: ToolDataset, names: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Add the images of a table; returns the classes that are numbers without a name."""
    place, count = Place(relative_name(path, data.root)), len(data.problems)
    rows = list((_csv_rows if path.suffix == ".csv" else _json_rows)(path, data))
    columns = choose_columns(dict.fromkeys(key for _, row in rows for key in row), names)
    if not rows:
        data.problems += [place.problem("has no row")] if len(data.problems) == count else []
        return set()
    if columns.labels is None and columns.objects is None:
        data.problems.append(place.problem("has neither a column 'label' nor 'objects'",
                                           f"its columns are {', '.join(rows[0][1])[:200]}"))
        return set()
    data.declare(names.get(columns.objects or columns.labels or "", ()))
    reader = RowReader(columns, names, data.problems)
    for here, row in rows:
        labels, objects = reader.read(row, here)
        image = data.find(row.get(_image_key(row)), here, [path.parent])
        if image is not None:
            data.add(image, here, labels, objects)
    return reader.numbered


def about_numbers(numbered: set[str]) -> list[Problem]:
    """The warning that classes are numbers."""
    return [Problem(f"classes are numbers without a name: {listed(sorted(numbered, key=int))}", severity="warning",
                    hint="name them in the README.md: dataset_info, features, class_label, names")] if numbered else []


def _tables(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root) if path.name in NAMES)


def _is_annotated(path: Path, root: Path) -> bool:
    head = read_head(path, root)
    if path.suffix == ".csv":
        header = [cell.strip().lower() for cell in head.partition("\n")[0].split(",")]
        return any(IMAGE_KEY in cell for cell in header) and not KNOWN.isdisjoint(header)
    lines = [line for line in head.splitlines() if line.strip()][:1]
    return any(f'{IMAGE_KEY}"' in line and any(f'"{key}"' in line.lower() for key in KNOWN) for line in lines)


def _image_key(row: dict[str, Any]) -> str:
    return IMAGE_KEY if IMAGE_KEY in row else next((key for key in row if key.endswith(f"_{IMAGE_KEY}")), IMAGE_KEY)


def _json_rows(path: Path, data: ToolDataset) -> Iterator[tuple[Place, dict[str, Any]]]:
    text, problem = read_text(path, data.root)
    data.problems += [problem] if problem else []
    for number, line in enumerate((text or "").split("\n"), 1):
        place = Place(relative_name(path, data.root), line=number)
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                data.problems.append(place.problem(f"is not JSON: {getattr(error, 'msg', error)}",
                                                   "a line is one JSON object"))
                continue
            if isinstance(row, dict):
                yield place, row
            else:
                data.problems.append(place.problem("is not a JSON object"))


def _csv_rows(path: Path, data: ToolDataset) -> Iterator[tuple[Place, dict[str, Any]]]:
    text, problem = read_text(path, data.root)
    data.problems += [problem] if problem else []
    file = relative_name(path, data.root)
    rows = csv.reader(io.StringIO((text or "").replace("\0", ""), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        for row in rows:
            place = Place(file, line=rows.line_num)
            if len(row) == len(header):
                yield place, {key: cell or None for key, cell in zip(header, row, strict=True)}
            elif row:
                data.problems.append(place.problem(f"has {len(row)} columns, not {len(header)}"))
    except csv.Error as error:
        data.problems.append(Problem(f"is not CSV: {error}", file=file, line=rows.line_num))


def _about_unlisted(data: ToolDataset) -> list[Problem]:
    unlisted = [name for path in images_in(data.root, data.root)
                if (name := relative_name(path, data.root)) not in data.images]
    return [Problem(f"{counted(len(unlisted), 'image has no row and is', 'images have no row and are')} ignored: "
                    f"{listed(unlisted)}", severity="warning")] if unlisted and data.images else []
