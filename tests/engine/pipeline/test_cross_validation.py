"""Cross-validation through the whole of a run: plan, folders, report, resume, ranks, presets."""

from __future__ import annotations

import csv
import json
import re
from types import SimpleNamespace

import pytest
from processes import (
    CHECKPOINT,
    assert_same,
    killed_from_outside,
    killed_when,
    run_folder,
    start,
    succeed,
    whole_and_cut,
)

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.text import format_duration
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.presets import load_presets
from sightsmith.engine.pipeline.start import start as start_run
from sightsmith.engine.training.callbacks import StatusReporter
from sightsmith.engine.training.state import TrainState

SMALL = ["task=classification", "network=mobilenet_v3_small", "network.weights=none", "image.size=32",
         "recipe=platform", "hyper.epochs=2", "hyper.batch_size=8", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "logger=[]", "dataset.root=sample", "dataset.limit=40"]


def table(run):
    with (run / "report" / "cross-validation.csv").open() as stream:
        return list(csv.DictReader(stream))


def card(run):
    return json.loads((run / "model" / "model.json").read_text())["metrics"]


@pytest.mark.slow
def test_a_run_with_folds(tmp_path, capsys):
    alone = sightsmith.train([*SMALL, f"output_dir={tmp_path / 'alone'}"])
    result = sightsmith.train([*SMALL, f"output_dir={tmp_path / 'runs'}", "dataset.folds=3", "dataset.refit=false"])
    output = capsys.readouterr().out
    rows = table(result.run_dir)
    assert [(row["repeat"], row["fold"]) for row in rows] == [("1", "1"), ("1", "2"), ("1", "3")]
    left_out = [int(row["images left out"]) for row in rows]
    assert sum(left_out) == 40
    pooled = sum(float(row["accuracy"]) * count for row, count in zip(rows, left_out, strict=True)) / 40
    assert result.metrics["cv_accuracy"] == pytest.approx(pooled, abs=1e-3)
    assert result.metrics["cv_accuracy_low"] <= result.metrics["cv_accuracy"] <= result.metrics["cv_accuracy_high"]
    for text in (result.report.read_text(), output):
        assert f"{result.metrics['cv_accuracy']:.4f} of all folds together, 95 % confidence interval" in text
    assert "<h2>Cross-validation</h2>" in result.report.read_text()
    assert "fold 3/3  epoch" in output and not re.search(r"fold \d/3 .*  best", output)
    assert f"Report: {result.report}\n" in output
    assert list(rows[0]) == ["repeat", "fold", "images left out", "accuracy"]
    own, *folds = [json.loads((result.run_dir / folder / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
                   for folder in (".", "folds/1-1", "folds/1-2", "folds/1-3")]
    assert f"{format_duration(own + sum(folds))}<" in result.report.read_text()
    assert f"4 trainings, the first {format_duration(own)}, " in result.report.read_text()
    status = json.loads((result.run_dir / "status.json").read_text())
    assert (status["status"], status["progress"], status["epoch"]) == ("finished", 1, 2)
    # The model that is kept is that of a run without folds.
    weights = [run.run_dir / "model" / "model.safetensors" for run in (alone, result)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    # Its score is that of the folds: the validation images have chosen the epoch.
    for end in ("", "_low", "_high"):
        assert result.metrics[f"accuracy{end}"] == result.metrics[f"cv_accuracy{end}"]
    assert status["score"] == card(result.run_dir)["accuracy"] == result.metrics["cv_accuracy"]
    own = f"<td>validation, which chose the epoch</td><td>{alone.metrics['accuracy']:.4f}</td>"
    assert own in re.sub(r"<td[^>]*>", "<td>", result.report.read_text())
    assert not (alone.run_dir / "folds").exists()


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_killed_in_a_fold_ends_as_an_undisturbed_one(tmp_path, devices):
    train = [*SMALL, "dataset.folds=2", "trainer.checkpoint_minutes=0.001", f"trainer.devices={devices}"]
    whole, cut = whole_and_cut(tmp_path, *train, written=f"folds/1-2/{CHECKPOINT}",
                               kill=killed_when if devices == 1 else killed_from_outside)
    finished = run_folder(cut) / "folds" / "1-1" / CHECKPOINT
    written = finished.stat().st_mtime_ns
    succeed(start(cut, *train, "trainer.resume=true"))
    assert finished.stat().st_mtime_ns == written
    assert_same(whole, cut)
    assert card(run_folder(whole)) == card(run_folder(cut))
    assert "cv_accuracy" in card(run_folder(cut))
    assert table(run_folder(whole)) == table(run_folder(cut))


@pytest.mark.slow
def test_tiles_of_an_image_are_left_out_together(tmp_path):
    result = sightsmith.train(["task=segmentation", "network=fastscnn", "network.weights=none", "image.size=64",
                               "dataset.root=sample", "dataset.limit=12", "dataset.tile=64", "dataset.folds=2",
                               "hyper.epochs=1", "hyper.batch_size=4", "trainer.precision=fp32",
                               "trainer.memory_format=contiguous", "logger=[]", f"output_dir={tmp_path}"])
    images = sum(int(row["images left out"]) for row in table(result.run_dir))
    plan = json.loads((result.run_dir / "plan.json").read_text())
    assert images < 20 < plan["train_images"]  # which are tiles
    assert f"{images} cases" in result.report.read_text()
    assert "cv_dice" in result.metrics


@pytest.mark.parametrize(("overrides", "folds", "expected"), [
    (["dataset.folds=4", "dataset.repeats=2"], (4, 2),
     ["4 folds × 2 repeats (as set)", "on all images (only 10 validation cases)", "10 trainings of"]),
    (["dataset.folds=4", "dataset.refit=false"], (4, 1), ["4 folds (as set)", "5 trainings of"]),
    (["dataset.folds=4", "ensemble=soup"], (4, 1), ["soup, of 4 models trained on folds", "5 trainings of"]),
    (["dataset.folds=auto"], (5, 1), ["5 folds (only 10 validation cases; dataset.folds=none trains once)",
                                      "7 trainings of"]),
    (["recipe=default"], (5, 1), ["5 folds (only 10 validation cases", "7 trainings of"]),
    (["recipe=default", "trainer.time_budget=0.01"], (0, 1), ["none (7 trainings may take", "more than 0.01 minutes"]),
    (["dataset.folds=auto", "dataset.limit=400", "dataset.validation_percentage=30"], (0, 1),
     ["validation cases are enough)"]),
    ([], (0, 1), []),
])
def test_the_plan_says_what_it_costs_and_why(tmp_path, capsys, monkeypatch, overrides, folds, expected, plugins):
    monkeypatch.setenv("COLUMNS", "200")
    run = [*SMALL, f"output_dir={tmp_path}", *overrides, "trainer.dry_run=true"]
    assert start_run(compose(run, plugins), run, plugins) is None
    output = capsys.readouterr().out
    assert all(text in output for text in expected)
    assert ("│ cross-validation" in output) is bool(expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_presets_leave_it_to_the_data_and_lock_nothing_of_it(plugins):
    for name in load_presets(plugins):
        assert compose([f"preset={name}", "dataset.root=x"], plugins).dataset.folds == "auto"
    assert compose(["preset=pneumothorax", "dataset.root=x", "dataset.folds=3", "dataset.repeats=2"], plugins)


def test_the_status_counts_all_trainings():
    seen = {}
    status = SimpleNamespace(update=lambda **values: seen.update(values))
    StatusReporter(status, steps=10, epochs=4, done=0, trainings=6).on_epoch(TrainState(epoch=4, best_score=0.5), {})
    assert seen == {"progress": round(1 / 6, 4), "epoch": 4, "score": 0.5}
    StatusReporter(status, steps=10, epochs=2, done=3, trainings=6).on_epoch(TrainState(epoch=1, best_score=0.9), {})
    assert seen == {"progress": round(3.5 / 6, 4), "epoch": 4, "score": 0.5}


@pytest.mark.parametrize(("overrides", "expected"), [
    (["dataset.folds=1"], "dataset.folds=1 is neither none, auto nor a whole number from 2"),
    (["dataset.folds=many"], "dataset.folds=many is neither"),
    (["dataset.repeats=3", "dataset.folds=none"], "has no effect without folds"),
    (["dataset.folds=5", "dataset.repeats=0"], "dataset.repeats=0 is out of range"),
    (["dataset.folds=41", "trainer.dry_run=true"], "dataset.folds=41, but the data set has 40 cases"),
])
def test_mistakes_are_user_errors(tmp_path, overrides, expected):
    with pytest.raises(UserError, match=expected):
        sightsmith.train([*SMALL, f"output_dir={tmp_path}", *overrides])
    assert not list(tmp_path.iterdir())
