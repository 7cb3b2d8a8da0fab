"""Retraining: what a base run locks, which rows of its heads are kept, and what is told of the old classes."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from command_line import refused
from object_datasets import box_csv, mask_csv
from PIL import Image
from shades import class_folders
from torch import nn

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.runs.checkpoint import load_tree, save_tree

TRAINER = ["trainer.precision=fp32", "trainer.memory_format=contiguous", "logger=[]", "dataset.folds=none"]
RECIPE = ["recipe=platform", "network.weights=none", "hyper.epochs=1", "hyper.batch_size=8", "hyper.learning_rate=0.01",
          *TRAINER]
STILL = [*TRAINER, "hyper.learning_rate=1e-6", "hyper.momentum=0"]
"""So little is learnt that what was loaded can be told."""


@pytest.fixture(scope="session")
def base_run(once):
    """A classifier of four shades, beside its data."""
    def make(root):
        data = class_folders(root / "data", {"black": 0, "dark": 60, "grey": 120, "white": 190})
        sightsmith.train([data, "task=classification", "network=resnet18", "image.size=32", *RECIPE,
                          "hyper.epochs=4", "hyper.warmup_epochs=1", f"output_dir={root}"])

    [model] = once("shades", make).glob("*/model")
    return sightsmith.load(str(model.parent))


def rows(result, name="network.fc.weight"):
    tensor = result.model.state_dict()[name]
    return dict(zip(result.classes, tensor, strict=True))


@pytest.mark.parametrize("override", [
    "network=resnet34", "network.name=resnet34", "++network.options.zero_init_residual=true", "network.weights=none",
    "task=detection", "task.name=detection", "image.size=64", "++image.mean=[0,0,0]", "image={size:64}",
    "dataset.tile=64", "flow=general", "base_run.path=elsewhere", "base_run.classes=[black]", "~base_run.classes",
    "preset.title=mine", "+network@network.options=resnet34",
])
def test_a_base_run_locks_task_network_and_preprocessing(base_run, override, plugins):
    with pytest.raises(UserError):
        compose([f"base_run={base_run.run_dir}", "dataset.root=any", override], plugins)


@pytest.mark.slow
def test_tuner_auto_keeps_the_recipe_of_the_source(base_run, tmp_path, capsys, plugins):
    run = [f"base_run={base_run.run_dir}", "dataset.root=any", "tuner=auto"]
    for override in ("hyper.epochs=7", "augment.rotation=3", "preference.balance=1"):
        with pytest.raises(UserError, match=override.split("=")[0]):
            compose([*run, override], plugins)
    config = compose([*run, "+network.class_renames={black: 1}", "base_run.replay=10"], plugins)
    assert config.hyper == compose(run[:2], plugins).hyper
    data = class_folders(tmp_path / "data", {"black": 0, "white": 190})
    result = sightsmith.train([run[0], data, "tuner=auto", "tuner.trials=2", "limits.min_trials=2",
                               "tuner.options.generations=2", *TRAINER, f"output_dir={tmp_path / 'runs'}"])
    assert "from the base run" in capsys.readouterr().out
    assert len((result.run_dir / "metrics.jsonl").read_text().splitlines()) <= 4


def test_a_locked_key_is_refused_with_both_values_and_before_a_sweep(base_run, tmp_path, plugins):
    with pytest.raises(UserError, match=r"image.size is locked to 32, but this run has 64") as raised:
        compose([f"base_run={base_run.run_dir}", "dataset.root=any", "image.size=64"], plugins)
    assert f"The base run {base_run.run_dir}" in str(raised.value)
    assert "network.name is locked to resnet18" in refused(
        "train", f"output_dir={tmp_path}", "-m", f"base_run={base_run.run_dir}", "dataset.root=any",
        "network=resnet18,resnet34")
    assert not list(tmp_path.rglob("config.yaml"))


@pytest.mark.parametrize("form", ["{}", "{}/", "'{}'"])
def test_the_recipe_is_that_of_the_source_and_can_be_changed(base_run, form, plugins):
    config = compose(["flow=retrain", f"base_run={form.format(base_run.run_dir)}", "dataset.root=any", "hyper.epochs=7",
                      "augment.rotation=3", "+network.class_renames={dark: dim}", "base_run.replay=10"], plugins)
    assert (config.flow, config.network.name, config.image.size) == ("retrain", "resnet18", 32)
    assert (config.hyper.epochs, config.hyper.warmup_epochs, config.hyper.learning_rate) == (7, 1, 0.01)
    assert config.network.weights == str(base_run.run_dir / "model" / "model.safetensors")
    assert config.base_run.classes == ["black", "dark", "grey", "white"]


@pytest.mark.slow
def test_rows_of_kept_and_renamed_classes_keep_their_weights(base_run, tmp_path, capsys):
    data = class_folders(tmp_path / "data", {"white": 190, "dim": 60, "pale": 160, "black": 0})
    result = sightsmith.train([data, "flow=retrain", f"base_run={base_run.run_dir}",
                               "+network.class_renames={dark: dim}", *STILL,
                               f"output_dir={tmp_path}", "hyper.epochs=1"])
    printed = re.sub(r"\s+", " ", capsys.readouterr().out)
    for part in ("3 kept (black, dim, white)", "1 new (pale)", "1 dropped (grey)", "1 renamed (dark to dim)"):
        assert part in printed
    old, new = rows(base_run), rows(result)
    assert result.classes == ("black", "dim", "pale", "white")
    for name, before in {"black": "black", "dim": "dark", "white": "white"}.items():
        assert torch.allclose(new[name], old[before], atol=1e-4)
    assert not any(torch.allclose(new["pale"], row, atol=1e-2) for row in old.values())
    page = result.report.read_text()
    assert "Old classes" in page
    table = [line.split(",") for line in (result.report.parent / "old-classes.csv").read_text().splitlines()]
    assert [row[0] for row in table] == ["class", "black", "dim", "white", "mean"]
    assert "Old classes: recall" in printed


@pytest.mark.slow
def test_the_score_before_is_that_of_the_source_on_the_same_images(base_run, tmp_path):
    """The same data and no learning: every class scores as the base run's own report says."""
    data = f"dataset.root={base_run.run_dir.parent / 'data'}"
    result = sightsmith.train([data, f"base_run={base_run.run_dir}", *STILL, f"output_dir={tmp_path}", "hyper.epochs=1",
                               "hyper.backbone_lr_scale=0"])
    lines = (result.report.parent / "old-classes.csv").read_text().splitlines()[1:-1]
    for line in lines:
        name, before, _ = line.split(",")
        assert float(before) == pytest.approx(base_run.metrics[f"recall/{name}"], abs=1e-4)
    assert len(lines) == 4


def test_a_frozen_backbone_stays_as_it_was_to_the_bit(base_run, tmp_path):
    data = f"dataset.root={base_run.run_dir.parent / 'data'}"
    result = sightsmith.train([data, f"base_run={base_run.run_dir}", *TRAINER, f"output_dir={tmp_path}",
                               "hyper.epochs=2", "hyper.backbone_lr_scale=0"])
    before, after = base_run.model.state_dict(), result.model.state_dict()
    changed = {name for name, value in before.items() if not value.equal(after[name])}
    assert changed == {"network.fc.weight", "network.fc.bias"}


def test_replay_adds_a_share_of_the_old_images_and_their_classes(base_run, tmp_path, capsys):
    data = class_folders(tmp_path / "data", {"white": 190, "pale": 160}, images=10)
    # Two of the new images are old ones: they must not come twice.
    for number in range(2):
        shutil.copy(base_run.run_dir.parent / "data" / "Classes" / "white" / f"{number}.png",
                    tmp_path / "data" / "Classes" / "white" / f"old-{number}.png")
    result = sightsmith.train([data, f"base_run={base_run.run_dir}", "base_run.replay=50",
                               "+network.class_renames={dark: dim}",
                               *STILL, f"output_dir={tmp_path}", "hyper.epochs=1"])
    assert result.classes == ("pale", "white", "black", "dim", "grey")
    found = re.search(r"Replay: (\d+) training and (\d+) validation images", capsys.readouterr().out)
    assert found
    train, validation = map(int, found.groups())
    assert 16 <= train <= 22
    assert 2 <= validation <= 5
    balance = [line.split(",") for line in (result.report.parent / "class-balance.csv").read_text().splitlines()[1:]]
    assert sum(int(row[1]) for row in balance) + sum(int(row[2]) for row in balance) == 22 + train + validation
    old = {row[0] for row in (line.split(",") for line in (
        result.report.parent / "old-classes.csv").read_text().splitlines()[1:-1])}
    assert old == {"black", "dim", "grey", "white"}


def test_names_that_read_like_numbers_can_be_renamed(base_run, plugins):
    config = compose([f"base_run={base_run.run_dir}", "dataset.root=any",
                      "+network.class_renames={0: zero, black: 1}"], plugins)
    assert config.network.renamed_classes == {"0": "zero", "black": "1"}


@pytest.mark.slow
def test_replay_of_changed_data_is_refused(tmp_path):
    data = class_folders(tmp_path / "data", {"a": 0, "b": 190}, images=5)
    small = ["network=resnet18", "image.size=32", *RECIPE, f"output_dir={tmp_path}"]
    run = sightsmith.train([data, "task=classification", *small])
    Image.new("RGB", (32, 32), (1, 2, 3)).save(tmp_path / "data" / "Classes" / "a" / "0.png")
    new = class_folders(tmp_path / "new", {"a": 10, "c": 150}, images=5)
    with pytest.raises(UserError, match="has changed since the run was trained"):
        sightsmith.train([new, f"base_run={run.run_dir}", "base_run.replay=50", *TRAINER, f"output_dir={tmp_path}"])


def test_what_does_not_fit_the_source_is_refused(base_run, tmp_path):
    others = class_folders(tmp_path / "others", {"a": 0, "b": 190})
    with pytest.raises(UserError, match="none of the base run's classes is in the data") as raised:
        sightsmith.train([others, f"base_run={base_run.run_dir}"])
    assert "black, dark, grey, white" in str(raised.value)
    with pytest.raises(UserError, match="network.class_renames: the data has no class c"):
        sightsmith.train([others, f"base_run={base_run.run_dir}", "+network.class_renames={dark: c, black: a}"])
    with pytest.raises(UserError, match="have no class nothing; its classes are black, dark, grey, white"):
        sightsmith.train([others, f"base_run={base_run.run_dir}", "+network.class_renames={nothing: a, black: b}"])
    labels = tmp_path / "several" / "label.csv"
    shutil.copytree(tmp_path / "others" / "Classes" / "a", labels.parent / "a")
    labels.write_text("".join(f"a/{number}.png,black,{number % 2}\na/{number}.png,dark,1\n" for number in range(12)))
    with pytest.raises(UserError, match="the data is multi-label, the base run single-label"):
        sightsmith.train([f"dataset.root={labels.parent}", f"base_run={base_run.run_dir}"])


def test_a_source_that_is_none_or_damaged_is_refused(base_run, tmp_path, plugins):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="is not a finished run"):
            compose([f"base_run={folder}", "dataset.root=any"], plugins)
    copy = tmp_path / "copy"
    shutil.copytree(base_run.run_dir, copy)
    bundle = load_tree(copy / "model" / "model.safetensors")
    del bundle["model"]["network.layer1.0.conv1.weight"]
    save_tree(copy / "model" / "model.safetensors", bundle)
    with pytest.raises(UserError, match=r"layer1.0.conv1.weight is not in its bundle"):
        sightsmith.train([f"dataset.root={base_run.run_dir.parent / 'data'}", f"base_run={copy}"])
    with pytest.raises(UserError, match="exclude each other"):
        compose([f"base_run={base_run.run_dir}", "preset=pneumothorax", "dataset.root=any"], plugins)
    with pytest.raises(UserError, match="neither is chosen"):
        compose(["task=classification", "base_run.replay=10", "dataset.root=any"], plugins)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "network", "maker", "head"), [
    ("detection", "rtmdet_tiny", box_csv, "bbox_head.rtm_cls.0.weight"),
    ("segmentation", "fastscnn", mask_csv, "decode_head.conv_seg.weight"),
])
def test_retraining_of_objects(tmp_path, task, network, maker, head):
    size = 64
    run = sightsmith.train([*maker()(tmp_path / "old"), f"task={task}", f"network={network}", f"image.size={size}",
                            *RECIPE, "hyper.batch_size=4", "dataset.validation_percentage=40",
                            f"output_dir={tmp_path}"])
    # The cat is a lion now, the dog is gone, and a bird is new.
    (data,) = maker(lambda text: text.replace("cat", "lion").replace("dog", "bird"))(tmp_path / "new")
    result = sightsmith.train([data, f"base_run={run.run_dir}", "+network.class_renames={cat: lion}", *STILL,
                               "base_run.replay=100", "base_run.distillation=1", "dataset.validation_percentage=40",
                               f"output_dir={tmp_path}"])
    # The pictures are the same, so nothing is replayed.
    assert result.classes == ("bird", "lion")
    first = 1 if task == "segmentation" else 0  # after the background
    old, new = (item.model.state_dict()[head] for item in (run, result))
    assert torch.allclose(new[first + 1], old[first], atol=1e-4)
    assert not torch.allclose(new[first], old[first + 1], atol=1e-4)
    lines = (result.report.parent / "old-classes.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["class", "lion", "mean"]
    entries = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(entries[-1]["train_loss"])
    frozen = sightsmith.train([data, f"base_run={run.run_dir}", "+network.class_renames={cat: lion}", *TRAINER,
                               "hyper.backbone_lr_scale=0", "dataset.validation_percentage=40",
                               f"output_dir={tmp_path}"])
    before, after = run.model.backbone.state_dict(), frozen.model.backbone.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())
    assert not frozen.model.state_dict()[head].equal(new)


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.backbone = nn.Conv2d(3, width, 1)

    def forward(self, inputs, mode="tensor"):
        return self.backbone(inputs)


class NetTask:
    def backbone(self, model):
        return [model.backbone]

    def run_backbone(self, model, inputs):
        model(inputs)


def test_distillation_is_the_relative_distance_of_the_features():
    from sightsmith.engine.training.distillation import Distillation

    student, teacher = Net(), Net()
    images = torch.rand(2, 3, 5, 5)
    loss = Distillation(NetTask(), student, teacher, 0.5)
    output = student(images)
    expected = (output - teacher(images)).square().sum() / teacher(images).square().sum()
    found = loss.losses(images)["loss_distillation"]
    assert found.item() == pytest.approx(0.5 * expected.item())
    found.backward()
    assert student.backbone.weight.grad.any()
    assert teacher.backbone.weight.grad is None
    student.load_state_dict(teacher.state_dict())
    student(images)
    assert loss.losses(images)["loss_distillation"].item() == 0


def test_features_of_another_shape_cannot_be_compared():
    from types import SimpleNamespace

    from sightsmith.engine.training.distillation import Distillation

    task = NetTask()
    task.network = SimpleNamespace(name="net")
    student = Net(width=3)
    loss = Distillation(task, student, Net(), 1.0)
    student(torch.rand(1, 3, 5, 5))
    with pytest.raises(UserError, match="other features in training than in use"):
        loss.losses(torch.rand(1, 3, 5, 5))
