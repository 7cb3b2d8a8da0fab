"""The rows of a ``label.csv`` and the images that they refer to."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sightsmith.plugin import Problem, contained_path, images_by_stem, listed, relative_name

OLDER_FOLDER = "image"
LARGEST = 2**30
HEADER_WORDS = {"path", "file", "filename", "file_name", "image", "images", "image_path", "name", "id", "label",
                "class"}
COLUMNS = {2: "path,class", 3: "path,class,0|1", 5: "path,class,width,height,mask",
           6: "path,class,x_left,y_top,width,height"}
"""The cells of a row, by its number of columns."""

WORDS = {2: "two", 3: "three", 5: "five", 6: "six"}


@dataclass(frozen=True)
class Row:
    """``label`` is None in a row with only a path; ``values`` are the cells from the third on."""

    line: int
    path: str
    label: str | None = None
    values: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        return 1 if self.label is None else 2 + len(self.values)


def read_rows(table: Path, problems: list[Problem]) -> tuple[int, list[Row]]:
    """The most frequent number of columns, and the rows that have it or only a path."""
    rows = _rows(table, problems)
    counts = Counter(row.columns for row in rows if row.label is not None)
    if not counts:
        return 2, rows
    columns = min(counts, key=lambda count: (-counts[count], count))
    for count in sorted(counts.keys() - {columns}):
        lines = [row.line for row in rows if row.columns == count]
        first, second = sorted((count, columns))
        problems.append(Problem(
            f"rows of {WORDS[first]} and {WORDS[second]} columns are mixed: {len(lines)} have {count} columns, "
            f"in lines {listed(map(str, lines))}", file=table.name, line=lines[0],
            hint=f"{WORDS[first]} columns are {COLUMNS[first]}; {WORDS[second]} are {COLUMNS[second]}"))
    return columns, [row for row in rows if row.columns in (1, columns)]


def _rows(table: Path, problems: list[Problem]) -> list[Row]:
    """The rows with a valid number of columns; the others become problems."""
    if table.stat().st_size > LARGEST:
        problems.append(Problem(f"is larger than {LARGEST // 2**30} GiB", file=table.name))
        return []
    content = table.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[:error.start].count(b"\n") + 1
        text = content.decode("cp1252", "replace")
        problems.append(Problem("is not UTF-8 and was read as Windows-1252", file=table.name, line=line,
                                hint="save it as UTF-8 if names look wrong", severity="warning"))
    rows = []
    limit = csv.field_size_limit(LARGEST)  # masks exceed the default limit
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if len(cells) > 3 and not any(cells[1:]):
                cells = cells[:1]  # spreadsheets pad short rows with empty cells
            if not any(cells):
                continue
            if len(cells) == 1 and ";" in cells[0]:
                problems.append(Problem("the columns are separated by ';'", file=table.name, line=reader.line_num,
                                        hint="save the table with commas"))
            elif len(cells) > 1 and len(cells) not in COLUMNS:
                problems.append(Problem(f"the row has {len(cells)} columns", file=table.name, line=reader.line_num,
                                        hint=f"a row is one of: path; {'; '.join(COLUMNS.values())}"))
            else:
                rows.append(Row(reader.line_num, cells[0], cells[1] if len(cells) > 1 else None, tuple(cells[2:])))
    except csv.Error as error:
        problems.append(Problem(f"cannot be read as a table: {error}", file=table.name, line=max(reader.line_num, 1)))
    finally:
        csv.field_size_limit(limit)
    if not rows and not problems:
        problems.append(Problem("the table is empty", file=table.name, hint="write one row path,class per image"))
    return rows


class Images:
    """Finds the images of rows. Raises ValueError with the reason, and a hint if there is one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stems: dict[tuple[Path, str], list[Path]] | None = None

    def find(self, row: Row) -> Path:
        path, reason = contained_path(self._root, row.path)
        if path is None:
            raise ValueError(reason)
        if path.is_file():
            return path
        older = self._root / OLDER_FOLDER / row.path
        if older.is_file():
            return older
        if self._stems is None:
            self._stems = images_by_stem(self._root)
        candidates = [found for base in (path, older) for found in self._stems.get((base.parent, base.name), [])]
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            names = ", ".join(relative_name(found, self._root) for found in candidates)
            raise ValueError(f"{row.path!r} could be {names}", "add the file extension")
        if row.line == 1 and row.path.lower() in HEADER_WORDS:
            raise ValueError("the first row looks like a header", "delete it: the table has no header row")
        raise ValueError(f"there is no image {row.path!r}")
