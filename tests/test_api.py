"""sightsmith from Python, and under somebody else's launcher."""

from __future__ import annotations

import inspect
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import MISSING, fields

import numpy as np
import pytest
import torch
from broken_datasets import MULTI_ROWS, folders, table
from command_line import within
from fake_plugins import with_plugin

import sightsmith
from sightsmith.core.plugins import manager
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.result import Result
from sightsmith.plugins.commands.evaluate import Evaluate
from sightsmith.plugins.commands.export import Export
from sightsmith.plugins.commands.predict import Predict

SMALL = ["task=classification", "network=mobilenet_v3_small", "network.weights=none", "image.size=32",
         "recipe=platform", "hyper.epochs=2", "hyper.batch_size=8", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "logger=[]"]


@pytest.mark.parametrize(("function", "settings"), [
    (sightsmith.evaluate, Evaluate), (sightsmith.export, Export), (Result.predict, Predict)])
def test_functions_and_commands_have_the_same_defaults(function, settings):
    keys = {field.name: None if field.default is MISSING else field.default for field in fields(settings)
            if field.metadata["kind"] == "key"}
    own = {name: None if parameter.default is parameter.empty else parameter.default
           for name, parameter in inspect.signature(function).parameters.items()}
    shared = keys.keys() & own.keys()
    assert shared and {name: keys[name] for name in shared} == {name: own[name] for name in shared}


@pytest.mark.slow
def test_train_returns_the_result(tmp_path, capsys):
    result = sightsmith.train([*SMALL, "dataset.root=sample", "dataset.limit=60", f"output_dir={tmp_path}"])
    assert result.run_dir.parent == tmp_path
    assert 0 <= result.metrics["accuracy_low"] <= result.metrics["accuracy"] <= result.metrics["accuracy_high"] <= 1
    assert result.classes == tuple("0123456789")
    span = "{accuracy_low:.4f} to {accuracy_high:.4f}".format(**result.metrics)
    assert f"95 % confidence interval {span}, 10 cases" in capsys.readouterr().out
    assert span in result.report.read_text()
    status = json.loads((result.run_dir / "status.json").read_text())
    assert [status[key] for key in ("score_low", "score", "score_high")] == [
        result.metrics[key] for key in ("accuracy_low", "accuracy", "accuracy_high")]
    model = result.model
    assert not model.training
    batch = {"inputs": torch.rand(2, 3, 32, 32), "data_samples": None}
    with torch.no_grad():
        first = model(**model.data_preprocessor(batch, False), mode="predict")
        again = sightsmith.load(result.run_dir).model
        second = again(**again.data_preprocessor(batch, False), mode="predict")
    assert first.shape == (2, 10)
    assert first.equal(second)
    assert sightsmith.load(result.run_dir).metrics == result.metrics


@pytest.mark.parametrize("change", [
    lambda text: text.replace('"task": "classification"', '"task": "${oc.env:HOME}"'),
    lambda text: text.replace('"format": 1', '"format": 99'),
    lambda text: text.replace('"classes"', '"klasses"'),
    lambda text: text[:-40],
    lambda text: "[]",
])
def test_a_bundle_of_a_stranger_is_read_with_care(tmp_path, change):
    card = {"format": 1, "task": "classification", "network": "resnet18", "classes": ["a", "b"], "multi_label": False,
            "metrics": {}, "config": {"name": "classification"}}
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps(card))
    assert sightsmith.load(tmp_path).classes == ("a", "b")
    path.write_text(change(json.dumps(card)))
    with pytest.raises(UserError):
        sightsmith.load(tmp_path)


def test_mistakes_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="hyper.learning_rate"):
        sightsmith.train([*SMALL, "dataset.root=sample", "hyper.lr=1"])
    with pytest.raises(UserError, match="not a finished run"):
        sightsmith.load(tmp_path)
    with pytest.raises(UserError, match="image labels do not apply to tiles"):
        sightsmith.train([*SMALL, "dataset.root=sample", "dataset.limit=60", "dataset.tile=32"])
    with pytest.raises(UserError, match="cannot take images of 32 px"):
        sightsmith.train([*SMALL, "dataset.root=sample", "dataset.limit=60", "network=alexnet",
                          f"output_dir={tmp_path}"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_multi_label_with_windows_balance_and_all_the_rest(tmp_path):
    rows = MULTI_ROWS + "".join(f"{number}.png\n" for number in range(8, 12))
    root = table(tmp_path / "set", rows, images=12)
    result = sightsmith.train([*SMALL, *root, "task.class_weights=balanced", "hyper.ema_decay=0.9",
                               "hyper.clip_grad_norm=1",
                               "task.label_smoothing=0.1", "trainer.gradient_accumulation=2", "hyper.warmup_epochs=1",
                               "image.windows=[[40,80],[80,200]]", "dataset.validation_percentage=40",
                               "trainer.precision=bf16",
                               f"output_dir={tmp_path / 'runs'}"])
    assert {"macro_f1", "macro_auc", "auc/red", "precision/blue"} <= set(result.metrics)
    card = json.loads((result.run_dir / "model" / "model.json").read_text())
    assert card["multi_label"] is True
    assert result.model.network.features[0][0].in_channels == 2


def test_class_balance_by_sampling(tmp_path):
    folders(tmp_path / "set", (("cat", 12), ("dog", 5)))
    result = sightsmith.train([*SMALL, f"dataset.root={tmp_path / 'set'}", "hyper.class_balance=sampling",
                               f"output_dir={tmp_path / 'runs'}", "hyper.schedule=step", "trainer.num_workers=2"])
    assert result.metrics["accuracy"] is not None


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [
    ["torch.distributed.run", "--nproc-per-node=2", "--local-addr=localhost", "--rdzv-backend=c10d",
     "--rdzv-endpoint=localhost:0"],
], ids=["torchrun"])
def test_it_joins_ranks_that_are_there(tmp_path, launcher):
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "sightsmith", "train", *SMALL, "dataset.root=sample",
         "dataset.limit=60", f"output_dir={tmp_path}"],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    [run] = tmp_path.iterdir()
    assert json.loads((run / "plan.json").read_text())["devices"] == 2
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    assert done.stdout.count("epoch 2/2") == 1


@hookimpl
def press_ctrl_c(epoch):
    os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_is_stopped_says_how_it_is_resumed_from_python(tmp_path, monkeypatch):
    settings = {"dataset": {"root": "sample", "limit": 60}, "output_dir": tmp_path}
    with monkeypatch.context() as installed:
        plugins = with_plugin(installed, "stops", "sightsmith_presets", [], sightsmith_after_epoch=press_ctrl_c)
        installed.setattr(manager, "load_plugins", lambda: plugins)
        with pytest.raises(KeyboardInterrupt) as stopped:
            sightsmith.train(SMALL, **settings)
    [found] = sightsmith.list_runs(tmp_path)
    assert (found.status, found.run.parent) == ("stopped", tmp_path)
    title, call = str(stopped.value).split("\n")
    assert title == "the run is stopped; this resumes it:"
    assert f"trainer.resume={found.run}" in call
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(1)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    assert eval(call).run_dir == found.run
    assert (random.random(), np.random.random(), torch.rand(1)) == expected  # the caller's are not seeded anew
    [found] = sightsmith.list_runs(tmp_path)
    assert (found.status, found.progress) == ("finished", 1)


def test_a_stop_before_there_is_a_run_has_a_message(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sightsmith.engine.search.application.compose_quoted", interrupted)
    with pytest.raises(KeyboardInterrupt, match="nothing to resume"):
        sightsmith.train(SMALL, output_dir=tmp_path)


def test_the_functions_take_a_run_as_the_commands_do(digits, tmp_path, monkeypatch):
    runs = digits.run_dir.parent
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to(runs)
    for run in (digits, digits.run_dir, str(digits.run_dir), "last", digits.run_dir.name):
        assert sightsmith.load(run).run_dir == digits.run_dir
    found = sightsmith.evaluate("last", split="validation", output_dir=tmp_path / "evaluations")
    assert found.splits["validation"].metrics["accuracy"] == digits.metrics["accuracy"]
    assert found.folder.parent == tmp_path / "evaluations"
    assert "<td>validation</td><td>20</td>" in found._repr_html_()
    assert "'accuracy': " in repr(found) and "Sample(" not in repr(found)
    assert found.show()._repr_html_().startswith("<iframe srcdoc=\"&lt;!doctype html")
    code, _, errors = within("evaluate", "run=last", "split=validation", f"output_dir={tmp_path / 'again'}")
    assert code == 0, errors
    [again] = (tmp_path / "again").glob("*/metrics.json")
    assert json.loads(again.read_text())["splits"] == found.to_json()


def test_another_data_set_is_named_as_in_train(digits, tmp_path):
    folders(tmp_path / "set", (("cat", 4), ("dog", 4)))
    with pytest.raises(UserError, match="classes that the run does not know"):
        sightsmith.evaluate(digits, tmp_path / "set")
    found = sightsmith.evaluate(digits, {"root": tmp_path / "set", "class_map": {"cat": "1", "dog": "2"}},
                                output_dir=tmp_path / "out")
    assert found.splits["all"].images == 8
    with pytest.raises(UserError, match=r"evaluation has no key dataset\.rot"):
        sightsmith.evaluate(digits, {"rot": tmp_path})


def test_export_returns_the_comparison(digits, tmp_path):
    found = sightsmith.export(digits, "torchscript", output_dir=tmp_path)
    assert found.folder.parent == tmp_path
    assert found.parity.largest_difference < 1e-3
    assert f"<td>Exported</td><td>{found.folder}</td>" in found._repr_html_()


def test_inspect_returns_problems_instead_of_raising(tmp_path):
    folders(tmp_path / "<set>", (("cat", 12), ("dog", 12)))
    (tmp_path / "<set>" / "cat" / "bad.png").write_text("no picture")
    found = sightsmith.inspect(dataset=tmp_path / "<set>")
    assert [problem.file for problem in found.problems if problem.severity == "error"] == ["cat/bad.png"]
    assert "cat/bad.png" in repr(found) and "Sample(" not in repr(found)
    html = found._repr_html_()
    assert "<td>cat/bad.png</td>" in html and "&lt;set&gt;" in html and "<set>" not in html
    assert found.to_json()["classes"]["dog"]["train"] + found.to_json()["classes"]["dog"]["validation"] == 12
    with pytest.raises(UserError, match="there is no such"):
        sightsmith.inspect(dataset=tmp_path / "sets")


def test_a_plan_is_returned_and_nothing_is_trained(tmp_path, capsys):
    found = sightsmith.plan(SMALL, dataset={"root": "sample", "limit": 60}, output_dir=tmp_path, name="<b>")
    assert (found.epochs, found.train_images + found.validation_images) == (2, 60)
    html = found._repr_html_()
    assert "<td>2, optimizer steps in each:" in html and "<td>hyper.learning_rate</td>" in html
    assert "<td>&lt;b&gt;</td>" in html
    assert "Plan" not in capsys.readouterr().out  # it is shown as the value of the cell
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"sightsmith\.plan"):
        sightsmith.train(SMALL, dataset={"root": "sample", "limit": 60}, output_dir=tmp_path, trainer={"dry_run": True})


def test_results_and_lists_of_runs_are_shown_in_notebooks(digits, tmp_path):
    html = digits._repr_html_()
    assert f"<td>{digits.run_dir}</td>" in html and "95 % confidence interval" in html
    found = sightsmith.list_runs(digits.run_dir.parent)
    assert "<td>finished</td><td>100 %</td>" in found._repr_html_()
    assert sightsmith.list_runs(digits.run_dir.parent, task="detection") == ()
    assert sightsmith.list_runs(tmp_path)._repr_html_() == "no runs"
