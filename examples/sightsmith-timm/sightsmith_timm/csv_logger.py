"""Metrics as lines of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CsvLogger:
    """Appends ``step,name,value`` to ``<run>/metrics.csv``; a resumed run continues the file."""

    def __init__(self, run_dir: Path, options: Mapping[str, Any]) -> None:
        path = run_dir / options.get("file", "metrics.csv")
        new = not path.exists()
        self._stream = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._stream, lineterminator="\n")
        if new:
            self._writer.writerow(("step", "name", "value"))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._writer.writerows((step, name, value) for name, value in metrics.items())

    def close(self) -> None:
        self._stream.close()
