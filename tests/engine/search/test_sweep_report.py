"""The report of a search: its table, and every plot on its page."""

from __future__ import annotations

import csv
import html
from dataclasses import replace

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
    write_table(tmp_path, PLAN, rows, "accuracy")
    write_sweep_report(tmp_path, PLAN, rows, "accuracy")
    table = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [(entry["trial"], entry["parent"], entry["score"]) for entry in table][5:8] == [
        ("5", "", "0.25"), ("6", "0", "0.3"), ("7", "1", "0.35")]
    assert best_row(rows) is rows[-1]
    page = (tmp_path / "report" / "index.html").read_text()
    for title in ("Trials", "Best so far", "Values and scores", "Importance", "Lineage"):
        assert f"<h2>{title}</h2>" in page


def test_the_page_links_trials_names_the_metric_and_says_how_to_go_on(tmp_path):
    rows = [row(0), replace(row(1), status={"status": "stopped", "paused": True, "score": 0.01, "epoch": 2}),
            replace(row(2), status={"status": "waiting"})]
    (tmp_path / "0" / "report").mkdir(parents=True)
    (tmp_path / "0" / "report" / "index.html").touch()
    (tmp_path / "1").mkdir()
    command = "sightsmith train tuner=pbt 'name=a <b>' trainer.resume=sweep"
    page = write_sweep_report(tmp_path, PLAN, rows, "macro_f1", command).read_text()
    assert 'href="../0/report/index.html">0</a>' in page and 'href="../1">1</a>' in page and "<td" in page
    assert "<th>macro f1</th>" in page and "best macro f1" in page and "<th>score</th>" not in page
    assert "1 finished, 1 paused, 1 waiting" in page and "<td>stopped</td>" not in page
    assert html.unescape(page).count(command) == 1
    assert f"sightsmith predict run={tmp_path / '0'} input=FOLDER" in page
    write_table(tmp_path, PLAN, rows, "macro_f1")
    table = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    assert [(entry["status"], entry["metric"]) for entry in table] == [
        ("finished", "macro_f1"), ("paused", "macro_f1"), ("waiting", "macro_f1")]


def test_what_is_wrong_with_the_best_trial_is_on_the_page(tmp_path):
    best = replace(row(3), status=row(3).status | {"warnings": ["nothing learnt"]})
    page = write_sweep_report(tmp_path, PLAN, [row(0), best], "accuracy").read_text()
    assert "<p>Trial 3: nothing learnt</p>" in page
