"""sightsmith from Python, and under somebody else's launcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from broken_datasets import MULTI_ROWS, folders, table

import sightsmith
from sightsmith.core.util.errors import UserError

SMALL = ["task=classification", "network=mobilenet_v3_small", "network.weights=none", "image.size=32",
         "recipe=platform", "hyper.epochs=2", "hyper.batch_size=8", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "logger=[]"]


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
