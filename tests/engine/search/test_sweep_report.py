"""The report of a search: its table, and every plot on its page."""

from __future__ import annotations

import csv

from sightsmith.engine.search.search_space import Parameter
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_report import write_sweep_report
from sightsmith.engine.search.sweep_table import SweepRow, best_row, write_table
from sightsmith.engine.search.tuner import Suggestion

PLAN = SweepPlan((), (Parameter("hyper.momentum", (), 0.5, 0.9), Parameter("hyper.weight_decay", (), 0.0, 0.1)), 4)


def row(number: int) -> SweepRow:
    """Of a population of six members in two generations."""
    values = {"hyper.momentum": 0.5 + number / 40, "hyper.weight_decay": number / 120}
    status = {"status": "finished", "score": number / 20, "epoch": 4 if number > 5 else 2, "device_hours": 0.1}
    return SweepRow(number, Suggestion(values, None, number - 6 if number > 5 else None), status)


def test_a_search_has_a_table_and_a_page_with_every_plot(tmp_path):
    rows = [row(number) for number in range(12)]
    write_table(tmp_path, PLAN, rows)
    write_sweep_report(tmp_path, PLAN, rows)
    table = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [(entry["trial"], entry["parent"], entry["score"]) for entry in table][5:8] == [
        ("5", "", "0.25"), ("6", "0", "0.3"), ("7", "1", "0.35")]
    assert best_row(rows) is rows[-1]
    page = (tmp_path / "report" / "index.html").read_text()
    for title in ("Trials", "Best so far", "Values and scores", "Importance", "Lineage"):
        assert f"<h2>{title}</h2>" in page
