"""Cross-validation through the whole of a run: plan, folders, report, resume, ranks, presets."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest
from broken_datasets import folders
from test_resume import assert_same, finish, kill_group, run_folder, start, wait_for

import sightsmith
from sightsmith.core.compose import compose
from sightsmith.core.errors import UserError

SMALL = ["task=classification", "network=mobilenet_v3_small", "network.weights=none", "image.size=32",
         "hyper.epochs=2", "hyper.batch_size=8", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "logger=[]", "dataset.root=sample", "dataset.limit=40"]


def table(run):
    with (run / "report" / "cross-validation.csv").open() as stream:
        return list(csv.DictReader(stream))


def card(run):
    return json.loads((run / "model" / "model.json").read_text())["metrics"]


def test_a_run_with_folds(tmp_path, capsys):
    alone = sightsmith.train([*SMALL, f"output_dir={tmp_path / 'alone'}"])
    result = sightsmith.train([*SMALL, f"output_dir={tmp_path / 'runs'}", "dataset.folds=3"])
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
    assert "fold 3/3  epoch" in output
    status = json.loads((result.run_dir / "status.json").read_text())
    assert (status["status"], status["progress"], status["epoch"]) == ("finished", 1, 2)
    # The model that is kept is that of a run without folds.
    weights = [run.run_dir / "model" / "model.safetensors" for run in (alone, result)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert alone.metrics.items() <= result.metrics.items()
    assert not (alone.run_dir / "folds").exists()


@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_killed_in_a_fold_ends_as_an_undisturbed_one(tmp_path, devices):
    train = [*SMALL, "dataset.folds=2", "trainer.checkpoint_minutes=0.001", f"trainer.devices={devices}"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, output = finish(start(whole, train=train))
    assert code == 0, output
    process = start(cut, train=train)
    try:
        wait_for(process, lambda: list(cut.glob("*/folds/1-2/checkpoints/last/state.safetensors")))
    finally:
        kill_group(process)
        process.wait()
    finished = run_folder(cut) / "folds" / "1-1" / "checkpoints" / "last" / "state.safetensors"
    written = finished.stat().st_mtime_ns
    code, output = finish(start(cut, "trainer.resume=true", train=train))
    assert code == 0, output
    assert finished.stat().st_mtime_ns == written
    assert_same(run_folder(whole), run_folder(cut))
    assert card(run_folder(whole)) == card(run_folder(cut))
    assert "cv_accuracy" in card(run_folder(cut))
    assert table(run_folder(whole)) == table(run_folder(cut))


def test_tiles_of_an_image_are_left_out_together(tmp_path):
    result = sightsmith.train(["task=segmentation", "network=fastscnn", "network.weights=none", "image.size=64",
                               "dataset.root=sample", "dataset.limit=12", "dataset.tile=64", "dataset.folds=2",
                               "hyper.epochs=1", "hyper.batch_size=4", "trainer.precision=fp32",
                               "trainer.memory_format=contiguous", "logger=[]", f"output_dir={tmp_path}"])
    assert sum(int(row["images left out"]) for row in table(result.run_dir)) == 12
    assert "cv_dice" in result.metrics
    assert "12 cases" in result.report.read_text()


def dry_run(*overrides):
    done = subprocess.run([sys.executable, "-m", "sightsmith", "train", *overrides, "trainer.dry_run=true"],
                          capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"})
    return done.stdout


def test_the_plan_says_what_it_costs_and_why(tmp_path):
    out = dry_run(*SMALL, f"output_dir={tmp_path}", "dataset.folds=4", "dataset.repeats=2")
    assert "4 folds × 2 repeats (as asked)" in out
    assert "9 trainings of" in out
    out = dry_run(*SMALL, f"output_dir={tmp_path}", "dataset.folds=auto")
    assert "5 folds (only 10 validation cases)" in out
    assert "cross-validation" not in dry_run(*SMALL, f"output_dir={tmp_path}")
    assert not list(tmp_path.iterdir())


def test_a_preset_chooses_by_itself(tmp_path):
    folders(tmp_path / "set", (("PTX", 6), ("normal", 6)))
    preset = ["preset=pneumothorax", f"dataset.root={tmp_path / 'set'}", "hyper.batch_size=2", "dataset.group_by=none"]
    assert compose(preset).dataset.folds == "auto"
    assert compose([*preset, "dataset.folds=3", "dataset.repeats=2"]).dataset.folds == "3"


@pytest.mark.parametrize(("overrides", "expected"), [
    (["dataset.folds=1"], "dataset.folds=1 is neither none, auto nor a whole number from 2"),
    (["dataset.folds=many"], "dataset.folds=many is neither"),
    (["dataset.repeats=3"], "repeats nothing without folds"),
    (["dataset.folds=5", "dataset.repeats=0"], "dataset.repeats=0 is out of range"),
    (["dataset.folds=41", "trainer.dry_run=true"], "dataset.folds=41, but the data set has 40 cases"),
])
def test_mistakes_are_user_errors(tmp_path, overrides, expected):
    with pytest.raises(UserError, match=expected):
        sightsmith.train([*SMALL, f"output_dir={tmp_path}", *overrides])
    assert not list(tmp_path.iterdir())
