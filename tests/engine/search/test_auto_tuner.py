"""``tuner=auto`` from the command line to the report: what is refused, what is printed, what is kept."""

from __future__ import annotations

import json
import os
from html import unescape

import pytest
import torch
import yaml
from processes import Written, killed_when

import sightsmith
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.runs import published as published_weights

GENERAL = ["task=classification", "dataset.root=sample", "tuner=auto"]
PRESET = ["preset=pneumothorax", "dataset.root=xrays"]
SMALL = ["preference.balance=1", "dataset.limit=40", "trainer.precision=fp32", "trainer.memory_format=contiguous",
         "logger=[]"]


def refusal(*overrides) -> str:
    with pytest.raises(UserError) as raised:
        compose(overrides, load_plugins())
    assert raised.value.exit_code == 2
    return raised.value.text()


# -- what is the user's to give


@pytest.mark.parametrize("override", [
    "network=resnet18", "network.weights=none", "++network.weights=none", "+network.options.dropout=0.1",
    "image.size=64", "dataset.tile=64", "augment.rotation=3", "augment.color_jitter.hue=0.2", "hyper.batch_size=4",
    "hyper.epochs=3", "hyper.optimizer=adam", "hyper.learning_rate=0.01", "hyper.weight_decay=0.01",
    "hyper.momentum=0.8", "hyper.schedule=step", "hyper.warmup_epochs=3", "hyper.clip_grad_norm=3",
    "hyper.ema_decay=0.9", "hyper.class_balance=sampling",
])
def test_what_auto_chooses_cannot_be_given_too(override):
    text = refusal(*GENERAL, override)
    assert override.lstrip("+").split("=")[0].split(".")[0] in text
    assert "tuner=auto chooses these" in text
    assert "tuner=manual" in text


def test_all_of_them_in_one_message():
    text = refusal(*GENERAL, "network=resnet18", "hyper.epochs=3", "augment.horizontal_flip=false")
    for part in ("network.name=resnet18", "hyper.epochs=3 (without it: 100)", "augment.horizontal_flip=false"):
        assert part in text


def test_every_other_key_is_free(plugins):
    config = compose([*GENERAL, "preference.balance=5", "preference.image_type=ct", "image.windows=[[40,80]]",
                      "hyper.patience=3", "hyper.early_stop=false", "limits.epochs=20", "limits.batch_size=4",
                      "trainer.seed=3", "dataset.validation_percentage=30", "name=mine"], plugins)
    assert (config.tuner.name, config.preference.balance, config.preference.image_type) == ("auto", 5, "ct")


@pytest.mark.parametrize(("overrides", "says"), [
    ([*GENERAL[:2], "preference.balance=4"], "type tuner=auto"),
    ([*GENERAL[:2], "tuner=manual", "preference.image_type=ct"], "type tuner=auto"),
    ([*GENERAL, "preference.balance=6"], "from 1 to 5"),
    ([*GENERAL, "preference.image_type=mr"], "ct, mri, xray, fundus, other. Did you mean 'mri'"),
    ([*GENERAL[:2], "tuner=outo"], "unknown tuner 'outo'. Did you mean 'auto'?"),
    ([*GENERAL[:2], "tuner.name=grid"], "tuner.name=grid does not select a tuner\ntype tuner=grid"),
    ([*PRESET, "tuner=auto", "preference.balance=4"], "preference.balance is locked to 3"),
    ([*PRESET, "preference.image_type=xray"], "preference.image_type is locked to other"),
    ([*PRESET, "tuner=auto", "hyper.epochs=3"], "hyper.epochs=3 (without it: 40)"),
    ([*PRESET, "tuner=auto", "augment.rotation=3"], "tuner=auto chooses these"),
    ([*GENERAL[:2], "tuner=manual", "limits.epochs=3"], "above the limit of 3"),
    ([*PRESET, "tuner=auto", "limits.epochs=3"], "above the limit of 3"),
])
def test_mistakes(overrides, says):
    assert says in refusal(*overrides)


def test_a_preset_can_be_tuned_automatically(plugins):
    config = compose([*PRESET, "tuner=auto"], plugins)
    assert (config.tuner.name, config.network.name, config.hyper.epochs) == ("auto", "densenet121", 40)
    assert compose([*PRESET, "tuner=manual", "hyper.epochs=3"], plugins).hyper.epochs == 3


# -- runs


FASTEST = {
    "classification": ("mobilenet_v3_large", "mobilenet_v3_large-5c1a4163.pth"),
    "detection": ("ssdlite_mobilenet_v2", "ssdlite_mobilenetv2_scratch_600e_coco_20210629_110627-974d9307.pth"),
    "segmentation": ("segnext_t", "segnext_mscan-t_1x16_512x512_adamw_160k_ade20k_20230210_140244-05bd8466.pth"),
}


@pytest.fixture
def published(tmp_path, monkeypatch, plugins):
    """``published(task)``: the weights of its fastest network lie where torch keeps published ones, which are random
    here; nothing is fetched."""
    def make(task: str) -> None:
        network, file = FASTEST[task]
        config = compose([f"task={task}", "dataset.root=x", f"network={network}"], plugins)
        record = plugins.task(task)
        built = record.build()(record, config, plugins.network(network), ("a", "b"))
        model, _ = built.build_model(load_weights=False)
        folder = tmp_path / "torch" / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        torch.save((model.network if task == "classification" else model).state_dict(), folder / file)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    # Neither here nor in processes started from here is the file what its name says.
    monkeypatch.setattr(published_weights, "digest_start", lambda name: "")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "from sightsmith.engine.runs import published\npublished.digest_start = lambda name: ''\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    monkeypatch.setattr(published_weights, "download", lambda *_: pytest.fail("a download"))
    monkeypatch.setenv("COLUMNS", "200")
    return make


@pytest.mark.slow
@pytest.mark.parametrize(("task", "size"), [("classification", 128), ("detection", 128), ("segmentation", 128)])
def test_a_dry_run_prints_the_choice_with_its_reasons_and_the_plan(tmp_path, capsys, published, task, size):
    published(task)
    with pytest.raises(UserError, match="trains nothing"):
        sightsmith.train([f"task={task}", *GENERAL[1:], *SMALL, "trainer.dry_run=true", f"output_dir={tmp_path / 'x'}"])
    output = capsys.readouterr().out
    network, file = FASTEST[task]
    assert f"Starting weights from published ({file})" in output
    choice, _, plan = output.partition("Plan")
    assert "Recommendation" in choice
    for part in ("stop 1 of 5 from faster to more accurate", network, "image.size", "the images are monochrome",
                 "training images", "search hyper.learning_rate", "1e-05 to 0.003, logarithmic"):
        assert part in choice, part
    assert f"{network}, input {size} px" in plan and f"published ({file})" in plan
    assert not (tmp_path / "x").exists()


def test_weights_that_cannot_be_had_are_the_usual_error(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(published_weights, "download", offline)
    with pytest.raises(UserError, match="cannot be downloaded: no network"):
        sightsmith.train([*GENERAL, *SMALL, "trainer.dry_run=true"])


@pytest.mark.slow
def test_one_job_trains_what_is_chosen_and_goes_on_with_the_same_choice_when_killed(tmp_path, published):
    published("classification")
    runs = tmp_path / "runs"
    command = [f"output_dir={runs}", *GENERAL, *SMALL, "tuner.trials=1", "preference.image_type=xray",
               "limits.epochs=2", "trainer.checkpoint_minutes=0.001"]
    killed_when(Written(runs, "*/0/metrics.jsonl"), *command[1:])
    with pytest.raises(UserError, match="contains no sweep over the same values"):
        sightsmith.train([*command, "trainer.resume=true", "preference.image_type=ct"])
    result = sightsmith.train([*command, "trainer.resume=true"])
    [sweep] = runs.iterdir()
    run = sweep / "0"
    assert result.run_dir == run
    assert [folder.name for folder in sweep.iterdir() if folder.name.isdigit()] == ["0"]
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (config["network"]["name"], config["image"]["size"]) == ("mobilenet_v3_large", 128)
    assert (config["hyper"]["epochs"], config["hyper"]["optimizer"]) == (2, "adamw")
    assert config["augment"]["horizontal_flip"] is False
    assert config["hyper"]["early_stop"] is True  # there is nothing to compare it with
    choice = {key: (value, reason) for key, value, reason in
              json.loads((sweep / "sweep.json").read_text())["plan"]["choice"]}
    assert choice["network.name"][0] == "mobilenet_v3_large"
    assert float(choice["hyper.learning_rate"][0]) == config["hyper"]["learning_rate"]
    assert all(reason for _, reason in choice.values())
    page = unescape((sweep / "report" / "index.html").read_text())
    assert "Recommendation" in page
    assert choice["network.name"][1] in page


def test_a_manual_run_has_no_choice(tmp_path, capsys):
    sightsmith.train(["task=classification", "dataset.root=sample", "network=mobilenet_v3_small", "image.size=32",
                      "network.weights=none", "hyper.epochs=1", *SMALL[1:], f"output_dir={tmp_path}"])
    assert "Recommendation" not in capsys.readouterr().out
