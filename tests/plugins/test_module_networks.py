"""Plain torch modules of a plugin: each kind trains, is judged, predicts, and, where it can, is exported."""

from __future__ import annotations

import json

import pytest
import torch

import sightsmith
from sightsmith.cli import main
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.plugin import ModuleNetworkRecord, UserError, cache_dir
from sightsmith.plugins.detection.module import background_first_layout

SOURCE = '''
import torch
from torch import nn
from sightsmith.plugin import ModuleNetworkRecord, hookimpl

SETTINGS = dict(description="tiny", family="tiny", parameters=1, input_size=32, licence="Apache-2.0")


def features(channels):
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))


class Labels(nn.Module):
    def __init__(self, num_classes, channels, size, width=8):
        super().__init__()
        self.head = nn.Linear(width, num_classes)  # stated first: only the record says which part makes features
        self.stem = features(channels)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.detach())
        return self.head(self.stem(images).mean((2, 3)))


class Pixels(nn.Sequential):
    def __init__(self, num_classes, channels, size):
        super().__init__()
        self.stem = features(channels)
        self.head = nn.Conv2d(8, num_classes, 1)


class Boxes(nn.Module):
    """One box an image: all of it but for a shift; torchvision's contract."""

    def __init__(self, num_classes, channels, size):
        super().__init__()
        self.stem = features(channels)
        self.head = nn.Linear(8, num_classes)
        self.given = []

    def forward(self, images, targets=None):
        self.given.append((images, targets))
        scores = torch.stack([self.head(self.stem(image[None]).mean((2, 3)))[0] for image in images])
        if self.training:
            wanted = torch.tensor([int(target["labels"][0]) if len(target["labels"]) else 0 for target in targets])
            return {"classification": nn.functional.cross_entropy(scores, wanted.to(scores.device))}
        found = []
        for image, row in zip(images, scores.softmax(1)):
            height, width = image.shape[1:]
            found.append({"boxes": row.new_tensor([[0, 0, width, height]]), "labels": row[1:].argmax()[None] + 1,
                          "scores": row[1:].max()[None]})
        return found


def wrong(num_classes):
    return nn.Identity()


def narrow(num_classes, channels, size):
    return nn.Conv2d(channels, 2, 1)


def same(num_classes, channels, size):
    return nn.Identity()


def record(name, task, builder, **more):
    return ModuleNetworkRecord(name=name, task=task, builder=f"tiny_modules:{builder}", **{**SETTINGS, **more})


@hookimpl
def sightsmith_networks():
    return [record("tiny_labels", "classification", "Labels", mean=(0.5,) * 3, std=(0.25,) * 3, backbone="stem"),
            record("tiny_boxes", "detection", "Boxes", mean=(0.0,) * 3, std=(1.0,) * 3, backbone="stem"),
            record("tiny_pixels", "segmentation", "Pixels", backbone="stem"),
            record("wrong_signature", "classification", "wrong"), record("wrong_result", "classification", "same"),
            record("wrong_pixels", "segmentation", "narrow"),
            record("no_such_part", "classification", "Labels", backbone="trunk")]
'''
KINDS = {"classification": "tiny_labels", "detection": "tiny_boxes", "segmentation": "tiny_pixels"}


def arguments(task, network, folder, *more):
    return [f"task={task}", f"network={network}", "dataset.root=sample", "dataset.limit=30",
            "dataset.min_images_per_class=1", "image.size=32", "hyper.epochs=1", "hyper.batch_size=6",
            "hyper.optimizer=adamw", "hyper.learning_rate=0.01", "trainer.devices=1", "trainer.precision=fp32",
            "trainer.memory_format=contiguous", "trainer.num_workers=0", "logger=[]", f"output_dir={folder}", *more]


@pytest.fixture(autouse=True)
def _installed(fake_distribution):
    fake_distribution("tiny_modules", SOURCE)


@pytest.mark.slow
@pytest.mark.parametrize("task", KINDS)
def test_it_trains_is_judged_predicts_is_frozen_retrained_and_exported(task, tmp_path, capsys):
    run = sightsmith.train(arguments(task, KINDS[task], tmp_path / "runs"))
    assert run.metrics["loss"] > 0
    again = sightsmith.load(str(run.run_dir))
    before, after = (result.model.state_dict() for result in (run, again))
    assert all(torch.equal(before[name].cpu(), after[name].cpu()) for name in before)
    [said] = again.predict([next((cache_dir() / "samples" / task).rglob("*.png"))])
    assert {"classification": said.scores, "detection": said.objects,
            "segmentation": said.semantic_mask is not None}[task]
    export(task, again, capsys)

    frozen = sightsmith.train(arguments(
        task, KINDS[task], tmp_path / "frozen", "hyper.backbone_lr_scale=0", f"network.weights={model_file(run)}"))
    changed = {name for name, value in frozen.model.state_dict().items()
               if name.startswith("network.") and not torch.equal(value.cpu(), before[name].cpu())}
    assert changed and all("stem" not in name or "running" in name or "batches" in name for name in changed), changed


def model_file(run):
    [path] = run.run_dir.glob("model/*.safetensors")
    return path


def export(task, run, capsys):
    with pytest.raises(SystemExit) as end:
        main(["export", f"run={run.run_dir}", "format=torchscript"])
    if task == "detection":
        assert end.value.code == 2
        assert "cannot be exported" in capsys.readouterr().err
        return
    assert end.value.code == 0, capsys.readouterr()
    [folder] = (run.run_dir / "exports").iterdir()
    assert list(folder.glob("*.pt")) and json.loads(next(folder.glob("*.json")).read_text())


def task_of(name, config_of, **more):
    plugins = load_plugins()
    record = plugins.network(name)
    task, config = plugins.task(record.task), config_of(name, size=32, **more)
    config.task = task.build_settings()(task.name)
    return task.make(task, config, record, ("a", "b"))


def test_a_classifier_gets_the_stated_mean_and_deviation_and_heat_maps(configure):
    task = task_of("tiny_labels", configure)
    model, report = task.build_model()
    assert report is None
    batch = {"inputs": torch.ones(2, 3, 32, 32), "data_samples": {}}
    maps = task.heat_maps(model.eval(), batch)
    assert [part.shape for part in maps] == [(32, 32)] * 2
    assert torch.equal(model.network.seen[-1], torch.full((2, 3, 32, 32), 2.0))
    assert task.backbone(model) == [model.network.stem]


def test_a_detector_is_given_images_of_0_to_1_without_padding_and_classes_from_1(configure, squares):
    task = task_of("tiny_boxes", configure)
    task.classes = ("light", "dark")
    model, _ = task.build_model()
    samples = [squares("wide", (40, 80), [(0, 0, 20, 20), (40, 0, 60, 20)]), squares("high", (80, 40))]
    data = task.dataset(samples, training=False)
    batch = model.data_preprocessor(task.collate([data[0], data[1]]), True)
    losses = model.train()(**batch, mode="loss")
    [images, targets] = model.network.given[-1]
    assert [tuple(image.shape) for image in images] == [(3, 16, 32), (3, 32, 16)]
    assert images[0].min() >= 0 and 0.9 < images[0].max() <= 1
    assert targets[0]["labels"].tolist() == [1, 2] and targets[1]["boxes"].shape == (0, 4)
    assert targets[0]["boxes"].tolist() == [[0, 0, 8, 8], [16, 0, 24, 8]]
    assert list(losses) == ["loss_classification"]
    with torch.no_grad():
        wide, high = task.evaluation_step(model.eval(), task.collate([data[0], data[1]]))
    assert wide["boxes"].tolist() == [[0, 0, 80, 40]] and high["boxes"].tolist() == [[0, 0, 40, 80]]
    assert 0 <= wide["labels"][0] <= 1


def test_rows_of_torchvision_heads():
    layout = background_first_layout("roi_heads.box_predictor.bbox_pred.weight", 4)
    assert layout(12, ["a", "b"])[4:9] == [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0)]
    layout = background_first_layout("head.classification_head.cls_logits.weight", 2)
    assert layout(6, ["a", "b"]) == [("background", 0), ("a", 0), ("b", 0), ("background", 1), ("a", 1), ("b", 1)]
    assert layout(4, ["a", "b"]) is None


@pytest.mark.parametrize(("name", "text"), [
    ("wrong_signature", r"^plugin .*: module network 'wrong_signature': the builder tiny_modules:wrong takes .*, but "
                        r"is called with \(num_classes=, channels=, size=\): got an unexpected keyword .*'channels'"),
    ("wrong_result", r"wrong_result returned \(1, 3, 32, 32\) for images \(1, 3, 32, 32\), not logits \(1, 2\)"),
    ("wrong_pixels", r"wrong_pixels returned \(1, 2, 32, 32\) for images .* not logits \(1, 3, H, W\)"),
    ("no_such_part", r"^plugin .*: network 'no_such_part'.*without a submodule 'trunk'.*\n.*head, stem"),
])
def test_what_does_not_keep_the_contract_is_named(name, text, configure):
    task = task_of(name, configure)
    with pytest.raises(UserError, match=text):
        task.build_model()


def test_an_option_that_the_builder_does_not_take_is_the_users_mistake(configure):
    task = task_of("tiny_labels", configure)
    task.config.network.options = {"widht": 8}
    with pytest.raises(UserError, match="network.options: tiny_labels has no option widht") as raised:
        task.build_model()
    assert raised.value.exit_code == 2 and raised.value.hint.startswith("its options: ")


def test_where_nothing_is_published_training_starts_from_nothing(configure):
    task = task_of("tiny_labels", configure)
    task.config.network.weights = "published"
    assert task.build_model()[1] is None
    task.config.network.weights = "backbone"
    with pytest.raises(UserError, match="no backbone is published for network=tiny_labels"):
        task.build_model()


@pytest.mark.parametrize("more", [{"std": (0.0, 1.0, 1.0)}, {"mean": (0.5,)}])
def test_a_record_with_a_wrong_normalisation_is_refused(more):
    with pytest.raises(ValueError, match="mean and std of 'x'"):
        ModuleNetworkRecord(name="x", description="", task="classification", builder="a:b", family="", parameters=1,
                            input_size=32, **more)
