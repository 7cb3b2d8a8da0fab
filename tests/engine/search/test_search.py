"""Searches from the command line to the best run: killed and gone on with, failing, limited, locked."""

from __future__ import annotations

import json
import os
import signal

import pytest
import yaml
from command_line import refused
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
from sweep_tables import numbered, table

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.verify import train_again

RUN = [*SEARCH, "limits.min_trials=2", "trainer.checkpoint_minutes=0.001"]
PBT = [*RUN, "hyper.epochs=4", "tuner=pbt", "tuner.trials=3", "tuner.options.generations=2"]


def written(sweep):
    """When each run's model was written."""
    return {path.parents[1].name: path.stat().st_mtime_ns for path in sweep.glob("*/model/model.safetensors")}


@pytest.mark.slow
def test_a_killed_population_goes_on_to_the_same_end(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    output = " ".join(succeed(start(whole, *PBT)).replace("│", " ").split())
    for part in ("hyper.learning_rate", "1e-05 to 0.1, logarithmic", "estimated time", "Best: ",
                 "trial 3, continued from trial", "12 epochs (3 times those of one run) in 6 trials, 1 at a time"):
        assert part in output
    killed_when(Written(cut, f"*/4/{CHECKPOINT}"), *PBT)
    before = written(run_folder(cut))
    assert before.keys() == {"3"}
    output = succeed(start(cut, *PBT, "trainer.resume=true"))
    assert "trial 3, continued from" not in output
    assert written(run_folder(cut))["3"] == before["3"]
    first, second = run_folder(whole), run_folder(cut)
    assert numbered(first) == numbered(second) == list(range(6))
    for number in ("3", "4", "5"):
        assert_same_run(first / number, second / number)
    assert table(first) == table(second)
    rows = table(first)
    assert [(row["status"], row["epochs"]) for row in rows] == [("paused", "2")] * 3 + [("finished", "4")] * 3
    assert {row["parent"] for row in rows[:3]} == {""}
    assert {row["parent"] for row in rows[3:]} < {"0", "1", "2"}  # one has been replaced
    # What nobody goes on from any more takes no room; a winner is a run like any other.
    assert not list(first.glob("[012]/checkpoints"))
    page = (first / "report" / "index.html").read_text()
    for title in ("Trials", "Best so far", "Values and scores", "Lineage"):
        assert f"<h2>{title}</h2>" in page
    best = max(rows, key=lambda row: (row["status"] == "finished", float(row["score"]), int(row["trial"])))
    assert sightsmith.load(str(first / best["trial"])).metrics["accuracy"] == float(best["score"])
    output = succeed(start(tmp_path / "again", f"base_run={first / best['trial']}", "dataset.root=sample",
                           "dataset.limit=60", "hyper.epochs=1", "logger=[]"))
    assert "Report: " in output


@pytest.mark.slow
def test_a_killed_worker_costs_no_run(tmp_path):
    search = [*RUN, "hyper.epochs=3", "tuner=random", "tuner.trials=3", "hyper.learning_rate=interval(0.001,0.01)"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    succeed(start(whole, *search))
    process = start(cut, *search, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    try:
        wait_for(process, lambda: list(cut.glob(f"*/0/{CHECKPOINT}")))
        os.kill(json.loads((run_folder(cut) / "0" / "status.json").read_text())["pid"], signal.SIGKILL)
        code, output = finish(process)
    finally:
        process.kill()
    assert code == 0, output[-3000:]
    assert table(run_folder(cut)) == table(run_folder(whole))
    for number in ("0", "1", "2"):
        assert_same_run(run_folder(whole) / number, run_folder(cut) / number)


@pytest.mark.slow
def test_too_many_failures_stop_a_search(tmp_path):
    search = [*RUN, "hyper.epochs=1", "tuner=grid", "hyper.learning_rate=0.001", "hyper.weight_decay=0",
              "hyper.momentum=0.9", "network=shufflenet_v2_x0_5,inception_v3,mobilenet_v3_small,alexnet,squeezenet1_1"]
    code, output = finish(start(tmp_path, *search, "tuner.max_failure_rate=0.2"))
    assert code == 2
    assert "tuner.max_failure_rate=0.2 of them, so the search stops" in output
    assert "Traceback" not in output
    [sweep] = tmp_path.iterdir()
    states = [row["status"] for row in table(sweep)]
    assert states == ["finished", "error", "finished", "error", "waiting"]
    output = succeed(start(tmp_path, *search, "tuner.max_failure_rate=1", "trainer.resume=true"))
    assert "warning: 2 of 5 trials failed:" in output
    assert [row["status"] for row in table(sweep)] == ["finished", "error", "finished", "error", "finished"]


@pytest.mark.slow
def test_when_the_time_is_spent_the_best_run_is_trained_to_its_end(tmp_path):
    output = succeed(start(tmp_path, *PBT, "tuner.time_budget=0.0000001"))
    [sweep] = tmp_path.iterdir()
    assert numbered(sweep) == [0]
    assert [row["status"] for row in table(sweep)] == ["finished", "waiting", "waiting"]
    assert len((sweep / "0" / "metrics.jsonl").read_text().splitlines()) == 4
    assert f"Best: {sweep / '0'}" in output.replace("\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(("overrides", "says"), [
    (["tuner=grid", "hyper.learning_rate=1e-1,1e-2,1e-3,1e-4", "hyper.weight_decay=0,0.1,0.01,0.001",
      "hyper.momentum=0,0.5,0.8,0.9"],
     "4 of hyper.learning_rate x 4 of hyper.weight_decay x 4 of hyper.momentum are 64 trials, but limits.max_trials is "
     "48"),
    (["tuner=grid", "hyper.learning_rate=interval(0.1,0.2)"], "hyper.learning_rate: 0.1 to 0.2"),
    (["tuner=random", "tuner.trials=1"], "tuner.trials=1 is not between 2 and 48"),
    (["tuner=random", "tuner.trials=49"], "change limits.min_trials or limits.max_trials"),
    (["tuner=random", "hyper.learning_rate=interval(0.1,1.0001)"], "from 1e-06 to 1 (default 0.001)"),
    (["tuner=tpe", "hyper.schedule=constant,step,cosinus"], "hyper.schedule=cosinus is not one of"),
    (["tuner=pbt", "network=shufflenet_v2_x0_5,resnet18"], "network cannot change during training"),
    (["tuner=random", "hyper.learning_rate=0.1", "hyper.weight_decay=0", "hyper.momentum=0.9"], "nothing to search"),
    (["tuner=auto", "hyper.momentum=0.8,0.9"], "tuner=auto chooses these:\n  - hyper.momentum: 0.8, 0.9"),
    (["tuner=rondom"], "unknown tuner 'rondom'. Did you mean 'random'?"),
    (["tuner=pbt", "hydra.mode=RUN"], "tuner=pbt needs many runs, but hydra.mode=RUN starts only one"),
    (["tuner=random", "hyper.nothing=1,2"], "unknown key 'hyper.nothing'"),
])
def test_mistakes(tmp_path, overrides, says):
    taken = ("network", "image.size") if "tuner=auto" in overrides else ()  # auto's own
    assert says in refused("train", f"output_dir={tmp_path}",
                           *(text for text in RUN if not text.startswith(taken or " ")), *overrides)
    assert not list(tmp_path.iterdir())


def test_locks_hold_in_a_search(tmp_path):
    for parameter in ("image.size=32,64", "network=resnet18,resnet34", "network.weights=none,backbone"):
        assert "locks these keys" in refused(
            "train", f"output_dir={tmp_path}", "preset=pneumothorax", "dataset.root=sample", "tuner=random",
            "hyper.momentum=0.9", parameter)
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_python_searches_too_and_gets_the_best_run(tmp_path):
    run = [key for key in RUN if not key.startswith("recipe=")]
    result = sightsmith.train([*run, "hyper.epochs=1", "tuner=random", "tuner.trials=2", f"output_dir={tmp_path}"])
    [sweep] = tmp_path.iterdir()
    configs = [yaml.safe_load(path.read_text()) for path in sweep.glob("*/config.yaml")]
    assert len(configs) == 2
    for config in configs:  # each has what the recipe decided before the search, and searches the rest
        assert (config["recipe"], config["hyper"]["optimizer"], config["hyper"]["epochs"]) == ("platform", "adamw", 1)
        assert config["hyper"]["ema_decay"] == configs[0]["hyper"]["ema_decay"] > 0
    assert len({config["hyper"]["learning_rate"] for config in configs}) == 2
    assert result.run_dir.parent == sweep
    assert result.metrics["accuracy"] == max(float(row["score"]) for row in table(sweep))
    with pytest.raises(UserError, match="trains nothing"):
        sightsmith.train([*RUN, "tuner=random", "trainer.dry_run=true", f"output_dir={tmp_path / 'dry'}"])
    assert not (tmp_path / "dry").exists()


@pytest.mark.slow
def test_a_paused_run_goes_on_to_the_same_end(tmp_path, plugins):
    run = [*RUN[:-2], "hyper.epochs=3", "hyper.schedule=cosine", "augment.horizontal_flip=true"]
    whole, paused = tmp_path / "whole", tmp_path / "paused"
    sightsmith.train([*run, f"output_dir={whole}"])
    output = succeed(start(paused, *run, "trainer.pause_after_epoch=1"))
    assert "Paused after epoch 1. Resume it with:" in output
    status = json.loads((run_folder(paused) / "status.json").read_text())
    assert (status["status"], status["message"], status["epoch"]) == ("stopped", "paused after epoch 1", 1)
    assert not (run_folder(paused) / "model").exists()
    sightsmith.train([*run, f"output_dir={paused}", "trainer.resume=true"])
    assert_same_run(run_folder(whole), run_folder(paused))
    assert train_again(run_folder(paused), [], plugins).same


@pytest.mark.slow
def test_a_run_goes_on_from_another_under_other_hyper_parameters(tmp_path, plugins):
    run = [*RUN[:-2], "hyper.epochs=3"]
    succeed(start(tmp_path / "first", *run, "trainer.pause_after_epoch=2"))
    first = run_folder(tmp_path / "first")
    result = sightsmith.train([*run, "hyper.learning_rate=0.0001", "hyper.weight_decay=0.01",
                               f"trainer.branch_from={first}", f"output_dir={tmp_path / 'second'}"])
    with pytest.raises(UserError, match="can be verified, but not trained again"):
        train_again(result.run_dir, [], plugins)
    lines = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["learning_rate"]) for line in lines] == [(1, 0.001), (2, 0.001), (3, 0.0001)]
    assert lines[:2] == [json.loads(line) for line in (first / "metrics.jsonl").read_text().splitlines()]
    for overrides, says in ((["hyper.optimizer=adam"], "hyper.optimizer was 'sgd' and is now 'adam'"),
                            (["dataset.limit=50"], "the images or their labels changed"),
                            (["image.size=48"], "image.size was 32 and is now 48")):
        with pytest.raises(UserError) as raised:
            sightsmith.train([*run, *overrides, f"trainer.branch_from={first}", f"output_dir={tmp_path / 'third'}"])
        assert says in raised.value.text()
    with pytest.raises(UserError, match="is not a run with a checkpoint"):
        sightsmith.train([*run, f"trainer.branch_from={tmp_path}", f"output_dir={tmp_path / 'third'}"])
    assert not list((tmp_path / "third").glob("*"))
