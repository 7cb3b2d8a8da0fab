"""A training whose loss rises is called that: in the last lines, in the report and in ``status.json``."""

from __future__ import annotations

import json

import pytest
from command_line import within
from small_runs import LABELS

import sightsmith
from sightsmith.engine.pipeline.divergence import divergence

RUN = [*LABELS, "dataset.limit=60", "hyper.batch_size=4"]


def history(*losses):
    return [{"epoch": number, "train_loss": loss} for number, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(("losses", "says"), [
    ((2.3, 9.0), "rose from 2.3 in epoch 1 to 9 in epoch 2"),
    ((2.3, 0.1, 0.2, 1.9), "rose from 0.1 in epoch 2 to 1.9 in epoch 4"),
    ((), ""), ((2.3,), ""), ((2.3, 3.0, 2.9), ""), ((2.3, 0.1, 0.5), ""), ((0.3, 0.28, 0.31), ""), ((9.0, 1.0), ""),
    ((-1.0, -2.0, -1.0), ""),
])
def test_a_loss_that_has_doubled_and_climbed_half_of_its_way_has_diverged(losses, says):
    found = divergence(history(*losses), 1)
    assert says in found and bool(found) == bool(says)


def test_a_loss_that_has_risen_is_told_in_all_three_places(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sightsmith.engine.pipeline.train.divergence", lambda history, epoch: f"It rose; epoch {epoch}")
    result = sightsmith.train([*RUN, "hyper.epochs=1", f"output_dir={tmp_path}"])
    status = json.loads((result.run_dir / "status.json").read_text())
    assert status["diverged"] is True and status["status"] == "finished"
    assert "It rose; epoch 1" in status["warnings"]
    assert "<p>It rose; epoch 1</p>" in result.report.read_text()
    assert "warning: It rose; epoch 1\n" in capsys.readouterr().out.partition("cases\n")[2]


def test_an_infinite_loss_has_a_report_too(tmp_path):
    code, output, errors = within("train", *RUN, f"output_dir={tmp_path}", "network=squeezenet1_1", "hyper.epochs=9",
                                  "hyper.learning_rate=1", "hyper.early_stop=false", "name='<b>'")
    assert code == 1
    [run] = tmp_path.iterdir()
    status = json.loads((run / "status.json").read_text())
    assert (status["status"], status["diverged"]) == ("error", True)
    assert "the loss is not finite at epoch" in status["message"] and "the loss is not finite at epoch" in errors
    assert output.endswith(f"Report: {run / 'report' / 'index.html'}\n")
    page = (run / "report" / "index.html").read_text()
    assert "The training diverged and has stopped: the loss is not finite at epoch" in page
    assert "<b>diverged</b>" in page and "&lt;b&gt;" in page
    again = page.partition("<code>")[2].partition("</code>")[0]
    assert again.endswith("hyper.learning_rate=0.1") and again.count("hyper.learning_rate") == 1


def test_a_report_that_cannot_be_written_hides_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr("sightsmith.engine.report.report.write_failed_report", None)
    code, output, errors = within("train", *RUN, f"output_dir={tmp_path}", "network=squeezenet1_1", "hyper.epochs=9",
                                  "hyper.learning_rate=1", "hyper.early_stop=false")
    assert code == 1 and "the loss is not finite at epoch" in errors and "Report:" not in output
    [log] = tmp_path.glob("*/train.log")
    assert "the report cannot be written" in log.read_text()
