"""Metrics as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import MetricLogger, write_atomic


class CsvLogger(MetricLogger):
    """``<run>/csv/train.csv`` with a row for each logged step, and ``validation.csv`` with one for each epoch; columns
    ``step``, ``epoch`` and the metrics, with all digits."""

    def start(self, config: Mapping[str, Any], step: int, group: str | None) -> None:
        self._folder = self.run_dir / "csv"
        self._folder.mkdir(exist_ok=True)
        self._columns: dict[Path, list[str]] = {}
        for path in self._folder.glob("*.csv"):
            header, *rows = path.read_text().splitlines(keepends=True)
            # A row that a kill cut short has no end of line.
            kept = [row for row in rows if row.endswith("\n") and int(row.partition(",")[0]) <= step]
            write_atomic(path, "".join([header, *kept]))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        tables: dict[str, dict[str, float]] = {}
        for name, value in metrics.items():
            table, slash, column = name.partition("/")
            if slash:
                row = tables.setdefault(table, {"step": step, "epoch": float(metrics["epoch"])})
                row[column] = float(value)
        for table, row in tables.items():
            self._append(self._folder / f"{table}.csv", row)

    def _append(self, path: Path, row: Mapping[str, float]) -> None:
        columns = self._columns.get(path)
        if columns is None or not row.keys() <= set(columns):
            columns = self._columns[path] = _extend(path, row)
        with path.open("a", newline="") as stream:
            csv.DictWriter(stream, columns, restval="", lineterminator="\n").writerow(row)


def _extend(path: Path, row: Mapping[str, float]) -> list[str]:
    """Give the table in ``path``, which may not exist yet, the columns of ``row`` that it lacks; returns all."""
    earlier: list[dict[str, str]] = []
    columns = list(row)
    if path.is_file():
        with path.open(newline="") as stream:
            reader = csv.DictReader(stream)
            earlier = list(reader)
            columns = list(dict.fromkeys([*(reader.fieldnames or ()), *row]))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(earlier)
    write_atomic(path, table.getvalue())
    return columns
