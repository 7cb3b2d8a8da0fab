"""What the folder of a search holds."""

from __future__ import annotations

import csv


def table(sweep):
    """``sweep.csv`` without what depends on the clock."""
    rows = list(csv.DictReader((sweep / "sweep.csv").open()))
    return [{key: value for key, value in row.items() if key not in ("device_hours", "message")} for row in rows]


def numbered(sweep):
    return sorted(int(path.name) for path in sweep.iterdir() if path.name.isdigit())
