"""``label.csv``: a table without a header, ``path,class`` or ``path,class,0|1``."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sightsmith.core.dataset import DatasetIndex, Recognition, Sample, contained_path
from sightsmith.core.errors import Problem, listed
from sightsmith.plugins.formats.files import is_image, natural, relative, walk

FILES = ("label.csv", "labels.csv")
OLDER_FOLDER = "image"
LARGEST = 2**30
HEADER_WORDS = {"path", "file", "filename", "file_name", "image", "images", "image_path", "name", "id", "label",
                "class"}


@dataclass
class _Row:
    line: int
    path: str
    label: str | None
    value: str | None


@dataclass
class _Image:
    """What the rows of one image say: by label, its value (None without a third column) and its line."""

    path: Path
    line: int
    labels: dict[str, tuple[str | None, int]] = field(default_factory=dict)


class LabelCsv:
    """Single-label with two columns, multi-label with three: one row an image and class.

    A row with a path alone is an image without any label. Paths are relative to the root; older sets
    keep images in ``image/`` and may leave the extension out. Images that no row names are left out.
    """

    def recognise(self, root: Path) -> Recognition | None:
        table = _table(root)
        return Recognition(0.96, f"a table {table.name}") if table else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        table = _table(root)
        problems: list[Problem] = []
        if table is None:
            problems.append(Problem(f"there is no file {FILES[0]}", hint=f"put {FILES[0]} into {root}"))
            return DatasetIndex(root, "label_csv", (), (), problems=tuple(problems))
        rows = _rows(table, problems)
        multi_label = _is_multi_label(rows, table.name, problems)
        images = _Images(root, table.name, problems)
        for row in rows:
            images.add(row, multi_label)
        classes = tuple(sorted({label for image in images.found.values() for label in image.labels}, key=natural))
        samples = []
        for name, image in images.found.items():
            if multi_label:
                labels = tuple(label for label in classes if image.labels.get(label, ("0", 0))[0] == "1")
            elif image.labels:
                labels = (next(iter(image.labels)),)
            else:
                problems.append(Problem("the image has no class and is left out", file=table.name, line=image.line,
                                        severity="warning"))
                continue
            samples.append(Sample(image.path, name, labels, file=table.name, line=image.line))
        if multi_label:
            _about_missing(images.found, classes, problems)
        _about_unnamed(root, images.found, problems)
        return DatasetIndex(root, "label_csv", classes, tuple(samples), multi_label, tuple(problems))


def _table(root: Path) -> Path | None:
    return next((root / name for name in FILES if (root / name).is_file()), None)


def _rows(table: Path, problems: list[Problem]) -> list[_Row]:
    """The rows of one to three columns; every other one becomes a problem."""
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
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if len(cells) > 3:
                what = {5: " (this looks like a segmentation table)", 6: " (this looks like a detection table)"}
                problems.append(Problem(f"{len(cells)} columns{what.get(len(cells), '')}; a classification table has "
                                        "path,class or path,class,0|1", file=table.name, line=reader.line_num))
            elif len(cells) == 1 and ";" in cells[0]:
                problems.append(Problem("the columns are divided by ';'", file=table.name, line=reader.line_num,
                                        hint="save the table with commas"))
            else:
                rows.append(_Row(reader.line_num, *(cells + [None] * 3)[:3]))  # type: ignore[list-item,arg-type]
    except csv.Error as error:
        problems.append(Problem(f"cannot be read as a table: {error}", file=table.name, line=max(reader.line_num, 1)))
    if not rows and not problems:
        problems.append(Problem("the table is empty", file=table.name, hint="write a row path,class for each image"))
    return rows


def _is_multi_label(rows: list[_Row], name: str, problems: list[Problem]) -> bool:
    two = [row.line for row in rows if row.label is not None and row.value is None]
    three = [row.line for row in rows if row.value is not None]
    if two and three:
        few, count = min((two, 2), (three, 3), key=lambda item: len(item[0]))
        problems.append(Problem(f"rows of two and of three columns are mixed: {len(few)} of {count} columns, in lines "
                                f"{listed([str(line) for line in few])}", file=name, line=few[0],
                                hint="single-label rows read path,class; multi-label rows path,class,0|1"))
    return len(three) > len(two)


class _Images:
    """Collects the rows by image."""

    def __init__(self, root: Path, table: str, problems: list[Problem]) -> None:
        self._root, self._table, self._problems = root, table, problems
        self.found: dict[str, _Image] = {}
        self._stems: dict[str, list[Path]] | None = None

    def add(self, row: _Row, multi_label: bool) -> None:
        path = self._find(row)
        if path is None:
            return
        image = self.found.setdefault(relative(path, self._root), _Image(path, row.line))
        if row.label is None:
            return
        if not row.label:
            self._refuse(row, "the class is empty")
        elif multi_label and row.value not in ("0", "1"):
            self._refuse(row, f"the third column is {row.value!r}; it must be 0 or 1")
        elif row.label in image.labels:
            value, line = image.labels[row.label]
            self._refuse(row, f"the row stands in line {line} already" if value == row.value else
                         f"{row.path!r} is {value} for class {row.label!r} in line {line} and {row.value} here")
        elif image.labels and not multi_label:
            (other, (_, line)), = image.labels.items()
            self._refuse(row, f"{row.path!r} has the class {other!r} in line {line} and {row.label!r} here",
                         "keep one; for several classes an image, write path,class,0|1")
        else:
            image.labels[row.label] = (row.value, row.line)

    def _find(self, row: _Row) -> Path | None:
        path, reason = contained_path(self._root, row.path)
        if path is None:
            self._refuse(row, reason or "the path cannot be used")
            return None
        if path.is_file():
            return path
        older = self._root / OLDER_FOLDER / row.path
        if older.is_file():
            return older
        candidates = [found for base in (path, older) for found in self._by_stem(base)]
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            listed = ", ".join(relative(found, self._root) for found in candidates)
            self._refuse(row, f"{row.path!r} could be {listed}", "write the file's extension")
        elif row.line == 1 and row.path.lower() in HEADER_WORDS:
            self._refuse(row, "the first row looks like a header", "delete it: the table has no header row")
        else:
            self._refuse(row, f"there is no image {row.path!r}")
        return None

    def _by_stem(self, path: Path) -> list[Path]:
        if self._stems is None:
            self._stems = defaultdict(list)
            for found in walk(self._root):
                if is_image(found):
                    self._stems[str(found.with_suffix(""))].append(found)
        return self._stems.get(str(path), [])

    def _refuse(self, row: _Row, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(message, file=self._table, line=row.line, hint=hint))


def _about_missing(images: dict[str, _Image], classes: tuple[str, ...], problems: list[Problem]) -> None:
    short = [name for name, image in images.items() if image.labels and len(image.labels) < len(classes)]
    if short:
        problems.append(Problem(f"{len(short)} images have no row for some classes, taken as 0: {listed(short)}",
                                severity="warning"))


def _about_unnamed(root: Path, images: dict[str, _Image], problems: list[Problem]) -> None:
    unnamed = [name for path in walk(root) if is_image(path) and (name := relative(path, root)) not in images]
    if unnamed:
        problems.append(Problem(f"{len(unnamed)} images are named by no row and left out: {listed(unnamed)}",
                                severity="warning"))
