"""Sweeps by hand: each combination a run, whatever becomes of the others, and gone on with after a kill."""

from __future__ import annotations

import csv
import html
import json
import os
import signal
from pathlib import Path

import pytest
from command_line import refused, within
from hydra.core.override_parser.overrides_parser import OverridesParser
from processes import (
    CHECKPOINT,
    Written,
    assert_same_run,
    finish,
    killed_when,
    run_folder,
    start,
    succeed,
    wait_for,
)
from small_runs import SEARCH

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.search.sweep_plan import SweepPlan, quoted
from sightsmith.engine.search.tuner import SearchSpace

RUN = [*SEARCH, "--multirun"]


def started(*overrides):
    """What each combination is started with."""
    plan = SweepPlan.by_hand(OverridesParser.create().parse_overrides(list(overrides)))
    tuner = load_plugins().tuner("manual").build()(SearchSpace(plan.space, 1, 0, 0))
    return [plan.overrides(suggestion, Path()) for suggestion in tuner.ask()]


def table(folder):
    return list(csv.DictReader((run_folder(folder) / "sweep.csv").open()))


def times(folder):
    """When each run's model was written."""
    return {path.parent.parent.name: path.stat().st_mtime_ns for path in folder.glob("*/*/model/model.safetensors")}


def test_a_run_for_each_combination():
    found = started("a=1", "b=x,y", "+c=range(0,3)", "~d")
    assert len(found) == 6
    assert found[4] == ("a=1", "~d", "b=y", "+c=1")
    assert started("a=1", "a=2") == [("a=2",)]
    assert started("a=1,2", "a=3") == [("a=3",)]
    with pytest.raises(UserError, match="a: 0 to 1"):
        started("a=interval(0,1)")


@pytest.mark.parametrize("path", ["/a b/c", "/Anna's, [2] (x)=y", "/ends in \\", "/'quoted'"])
def test_any_folder_is_read_as_it_is(path):
    [override] = OverridesParser.create().parse_overrides([f"key={quoted(Path(path))}"])
    assert override.value() == path


@pytest.mark.slow
def test_what_is_finished_is_not_run_again_and_the_values_must_be_the_same(tmp_path):
    sweep = [*RUN, "hyper.epochs=1", "hyper.learning_rate=0.001,0.002", "hyper.weight_decay=0,0.01"]
    output = succeed(start(tmp_path, *sweep))
    assert "best" in output
    rows = table(tmp_path)
    assert [(row["trial"], row["hyper.learning_rate"], row["hyper.weight_decay"], row["status"]) for row in rows] == [
        ("0", "0.001", "0", "finished"), ("1", "0.001", "0.01", "finished"),
        ("2", "0.002", "0", "finished"), ("3", "0.002", "0.01", "finished")]
    for row in rows:
        status = json.loads((run_folder(tmp_path) / row["trial"] / "status.json").read_text())
        assert float(row["score"]) == status["score"]
    before = times(tmp_path)
    succeed(start(tmp_path, *sweep, "trainer.resume=true"))
    assert (times(tmp_path), table(tmp_path)) == (before, rows)
    for overrides, says in (([*sweep[:-1], f"trainer.resume={run_folder(tmp_path)}"],
                             "is not a sweep over the same values"),
                            ([*sweep, f"hydra.sweep.dir={run_folder(tmp_path)}"], "already contains a sweep")):
        assert says in refused("train", f"output_dir={tmp_path}", *overrides)


@pytest.mark.slow
def test_a_run_that_fails_stops_no_other(tmp_path):
    sweep = [*RUN, "hyper.epochs=1", "network=inception_v3,shufflenet_v2_x0_5"]
    code, output = finish(start(tmp_path, *sweep))
    assert code == 2
    assert "1 of 2 trials failed:\n  trial 0: The network inception_v3 cannot take images of 32 px" in output
    assert f"trainer.resume={run_folder(tmp_path)}" in output
    assert "Traceback" not in output
    assert [row["status"] for row in table(tmp_path)] == ["error", "finished"]
    assert "cannot take images" in table(tmp_path)[0]["message"]
    before = times(tmp_path)
    code, _ = finish(start(tmp_path, *sweep, "trainer.resume=true"))
    assert (code, times(tmp_path)) == (2, before)


def test_a_reason_is_told_once_and_a_defect_is_no_mistake_of_the_user(tmp_path):
    code, output, errors = within("train", f"output_dir={tmp_path}", *RUN, "dataset.root=nowhere", "hyper.epochs=1,2")
    assert code == 2
    output += errors
    assert "2 of 2 trials failed:\n  trial 0, 1: dataset.root=nowhere: there is no such folder." in output
    code, output = finish(start(tmp_path, *RUN, "hyper.epochs=1,9", "network=squeezenet1_1", "hyper.optimizer=sgd",
                                "hyper.learning_rate=1", "hyper.batch_size=4", "hyper.early_stop=false"))
    assert code == 1, output
    assert "NonFiniteLossError: the loss is not finite" in output


def test_a_mistake_in_one_combination_is_told_before_the_first_run(tmp_path):
    assert "hyper.epochs" in refused("train", f"output_dir={tmp_path}", *RUN, "hyper.epochs=1,100000")
    assert not list(tmp_path.rglob("config.yaml"))


def test_a_dry_run_over_presets_tells_what_cannot_be_planned(tmp_path):
    said = refused("train", f"output_dir={tmp_path}", "--multirun", "preset=pneumothorax,skin_lesions",
                   "dataset.root=nowhere", "trainer.dry_run=true")
    assert "2 of 2 trials failed:\n  trial 0, 1: dataset.root=nowhere: there is no such folder." in said
    assert "trainer.resume" not in said
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.slow
def test_a_killed_sweep_goes_on_to_the_same_end(tmp_path):
    sweep = [*RUN, "hyper.epochs=2", "trainer.checkpoint_minutes=0.001", "hyper.learning_rate=0.001,0.002,0.003"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    succeed(start(whole, *sweep))
    killed_when(Written(cut, f"*/1/{CHECKPOINT}"), *sweep)
    before = times(cut)
    assert before.keys() == {"0"}
    succeed(start(cut, *sweep, "trainer.resume=true"))
    assert times(cut)["0"] == before["0"]
    for number in ("0", "1", "2"):
        assert_same_run(run_folder(whole) / number, run_folder(cut) / number)


def test_ctrl_c_stops_all_of_it(tmp_path):
    process = start(tmp_path, *RUN, "hyper.epochs=50", "trainer.checkpoint_minutes=0.001",
                    "hyper.learning_rate=0.001,0.002", "logger=[csv]")
    try:
        wait_for(process, lambda: list(tmp_path.glob(f"*/0/{CHECKPOINT}")))
        os.kill(process.pid, signal.SIGINT)
        code, output = finish(process)
    finally:
        process.kill()
    assert code == 130
    assert ("The sweep was stopped. Resume it with:\n"
            f"  sightsmith train --multirun output_dir={tmp_path} {RUN[0]}") in output
    assert " 'logger=[csv]' " in output.partition("Resume it with:")[2]
    assert output.count("trainer.resume=") == 1, output  # not one for the trial too
    assert output.index("Resume it with:") > output.index("Report: ")
    assert output.rstrip().endswith(f"trainer.resume={run_folder(tmp_path)}")
    page = html.unescape((run_folder(tmp_path) / "report" / "index.html").read_text())
    assert page.count(f"trainer.resume={run_folder(tmp_path)}") == 1 and "best accuracy" in page
    assert [row["status"] for row in table(tmp_path)] == ["stopped", "waiting"]
