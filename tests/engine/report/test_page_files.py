"""The files beside a page."""

from __future__ import annotations

import csv

import pytest

from sightsmith.engine.report.page import write_csv


@pytest.mark.parametrize(("cell", "written"), [
    ("=1+1.png", "'=1+1.png"), ("@SUM(A1)", "'@SUM(A1)"), ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
    ("-2+3+HYPERLINK(A1)", "'-2+3+HYPERLINK(A1)"), ("\t=1", "'\t=1"),
    ("+", "+"), ("-1", "-1"), ("a=b.png", "a=b.png"), (-0.5, "-0.5"), (None, "undefined"), ("é, \"x\"\n", "é, \"x\"\n"),
])
def test_a_spreadsheet_computes_no_text(tmp_path, cell, written):
    write_csv(tmp_path / "table.csv", [("name",), (cell,)])
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines)) == [["name"], [written]]
