"""The rows of a ``label.csv``."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sightsmith.plugin import HEAD, Problem, listed, read_bytes
from sightsmith.plugins.formats.label_csv_header import without_header

LARGEST = 2**30
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


def read_rows(table: Path, root: Path, problems: list[Problem]) -> tuple[int, list[Row]]:
    """The most frequent number of columns, and the rows that have it or only a path."""
    rows = _rows(table, root, problems)
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


def _rows(table: Path, root: Path, problems: list[Problem]) -> list[Row]:
    """The rows with a valid number of columns; the others become problems."""
    rows = []
    for line, cells in without_header(_cells(table, root, problems), root, table.name, problems):
        if len(cells) > 1 and len(cells) not in COLUMNS:
            problems.append(Problem(f"the row has {len(cells)} columns", file=table.name, line=line,
                                    hint=f"a row is one of: path; {'; '.join(COLUMNS.values())}"))
        else:
            rows.append(Row(line, cells[0], cells[1] if len(cells) > 1 else None, tuple(cells[2:])))
    if not rows and not problems:
        problems.append(Problem("the table is empty", file=table.name, hint="write one row path,class per image"))
    return rows


def _cells(table: Path, root: Path, problems: list[Problem]) -> list[tuple[int, list[str]]]:
    """The line and the cells of each row that is not empty."""
    content, problem = read_bytes(table, root, LARGEST)
    if content is None:
        problems += [problem] if problem else []
        return []
    text = _decoded(content, table.name, problems)
    rows = []
    limit = csv.field_size_limit(LARGEST)  # masks exceed the default limit
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        for found in reader:
            cells = [cell.strip() for cell in found]
            if len(cells) > 3 and not any(cells[1:]):
                cells = cells[:1]  # spreadsheets pad short rows with empty cells
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        problems.append(Problem(f"cannot be read as a table: {error}", file=table.name, line=max(reader.line_num, 1)))
    finally:
        csv.field_size_limit(limit)
    return rows


def _decoded(content: bytes, file: str, problems: list[Problem]) -> str:
    try:
        return content.decode("utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(Problem("is not UTF-8 and was read as Windows-1252", file=file, severity="warning",
                                line=content[:error.start].count(b"\n") + 1,
                                hint="save it as UTF-8 if names look wrong"))
        return content.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """The one that most of the first lines have; spreadsheets write ';' where the comma is a decimal sign."""
    lines = [line for line in text[:HEAD].splitlines() if line.strip()]
    return max(",;\t", key=lambda sign: sum(sign in line for line in lines))
