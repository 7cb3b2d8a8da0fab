"""Runs on images of more than three bands: trained, predicted, exported, served, retrained, in each task."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from band_images import labelled, marked, save, with_objects
from PIL import Image

import sightsmith
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.evaluate import evaluate
from sightsmith.engine.pipeline.export import export
from sightsmith.engine.pipeline.predict_files import PredictOptions, predict_files
from sightsmith.engine.pipeline.result import Result
from sightsmith.plugins.commands.inspect import inspect_command

FAST = ("hyper.epochs=1", "network.weights=none", "trainer.precision=fp32", "trainer.memory_format=contiguous",
        "trainer.num_workers=0")


def trained(folder, root, task, *overrides):
    return sightsmith.train([f"task={task}", f"dataset.root={root}", f"output_dir={folder}", *FAST, *overrides])


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    """A run on TIFF files of 12 bands of 16 bits."""
    folder = tmp_path_factory.mktemp("twelve")
    labelled(folder / "data", lambda path, number: save(
        path.with_suffix(".tif"), 256 * marked(12, number, np.uint16)), 16)
    return trained(folder, folder / "data", "classification", "network=squeezenet1_1", "image.size=32")


def test_the_run_keeps_the_number_mean_and_deviation_of_its_channels(twelve):
    image = yaml.safe_load((twelve.run_dir / "config.yaml").read_text())["image"]
    assert image["channels"] == "12" and image["rgb"] is False and len(image["mean"]) == len(image["std"]) == 12
    assert min(image["std"]) > 0.1 and max(image["mean"]) < 0.5
    [first] = [module for module in twelve.model.modules() if isinstance(module, torch.nn.Conv2d)][:1]
    assert first.in_channels == 12
    plan = json.loads((twelve.run_dir / "plan.json").read_text())
    assert any(item["key"] == "image.channels" and "12 bands" in item["reason"] for item in plan["settings"])


def test_a_run_predicts_images_like_its_own_and_no_others(twelve, tmp_path):
    image = next((twelve.run_dir.parent / "data").rglob("*.tif"))
    [prediction] = twelve.predict([image])
    assert set(prediction.scores) == {"a", "b"}
    written = predict_files(twelve, str(image), PredictOptions(), tmp_path)
    picture = np.asarray(Image.open(next((written.folder / "pictures").glob("*.png"))))
    assert picture.shape[2] == 3 and picture.max() > 200
    assert json.loads((written.folder / "predictions.json").read_text())["shown"].startswith("Of images with 12 bands")
    np.save(tmp_path / "five.npy", np.zeros((32, 32, 5), np.uint8))
    Image.new("RGB", (32, 32)).save(tmp_path / "three.png")
    for name, bands in (("five.npy", 5), ("three.png", 3)):
        with pytest.raises(UserError) as refused:
            list(twelve.predict([tmp_path / name]))
        assert f"it has {bands} bands, and 12 channels are used by the model" in str(refused.value)


def test_evaluation_and_retraining_refuse_other_bands(twelve, tmp_path):
    other = labelled(tmp_path / "other", lambda path, number: np.save(path.with_suffix(".npy"), marked(5, number)), 8)
    for attempt in (lambda: evaluate(twelve, {"dataset.root": str(other)}, output_dir=tmp_path),
                    lambda: sightsmith.train(["flow=retrain", f"base_run={twelve.run_dir}", f"dataset.root={other}",
                                              f"output_dir={tmp_path}", "hyper.epochs=1"])):
        with pytest.raises(UserError, match="5 bands, and 12 channels are used"):
            attempt()


@pytest.mark.slow
def test_a_retrained_run_has_the_channels_of_its_base(twelve, tmp_path):
    found = sightsmith.train(["flow=retrain", f"base_run={twelve.run_dir}", "hyper.epochs=1", f"output_dir={tmp_path}",
                              f"dataset.root={twelve.run_dir.parent / 'data'}", "trainer.num_workers=0"])
    assert found.task.config.image.mean == twelve.task.config.image.mean
    assert found.task.config.image.channels == "12"


def test_the_exported_script_reads_bands(twelve, tmp_path):
    folder = export(twelve, "onnx", load_plugins(), output_dir=tmp_path, report=lambda line: None).folder
    card = json.loads((folder / "model.json").read_text())
    assert card["input"]["shape"] == ["batch", 12, 32, 32]
    images = sorted((twelve.run_dir.parent / "data").rglob("*.tif"))[:2]
    np.save(tmp_path / "same.npy", 256 * marked(12, 0, np.uint16))
    np.save(tmp_path / "five.npy", marked(5, 0))

    def script(*paths):
        return subprocess.run([sys.executable, folder / "predict.py", *paths], capture_output=True, text=True)

    told = script(*images, tmp_path / "same.npy")
    assert told.returncode == 0, told.stderr
    *found, same = json.loads(told.stdout)
    for path, answer in zip(images, found, strict=True):
        [own] = twelve.predict([path])
        assert abs(own.scores[answer["labels"][0]["label"]] - answer["labels"][0]["score"]) < 0.01
    assert same["labels"] == found[0]["labels"]
    refused = script(tmp_path / "five.npy")
    assert refused.returncode == 1 and "the model takes 12 bands" in refused.stderr


def test_inspect_measures_the_channels(twelve, capsys, tmp_path):
    arguments = ["task=classification", f"dataset.root={twelve.run_dir.parent / 'data'}"]
    assert inspect_command([*arguments, "--json", "--html", str(tmp_path / "page")], load_plugins()) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["channels"] == [12] and found["mean"] == twelve.task.config.image.mean
    assert "Of images with 12 bands, the first three are shown" in (tmp_path / "page" / "index.html").read_text()


def test_arrays_are_trained_too_with_all_augmentations(tmp_path):
    root = labelled(tmp_path / "data", lambda path, number: np.save(path.with_suffix(".npy"), marked(5, number)), 8)
    found = trained(tmp_path, root, "classification", "network=squeezenet1_1", "image.size=32", "image.rgb=true",
                    "augment.extra={grey:{},blur:{},noise:{},jpeg:{},clahe:{},gamma:{},erasing:{},affine:{},mixup:{},"
                    "cutmix:{}}")
    assert found.task.config.image.channels == "5" and found.task.config.image.rgb is True


@pytest.mark.slow
@pytest.mark.parametrize(("task", "data", "network"), [("segmentation", "seg", "bisenetv2"),
                                                       ("detection", "det", "rtmdet_tiny")])
def test_objects_and_masks_in_five_bands(tmp_path, task, data, network):
    root = with_objects(tmp_path, 5, photometric="rgb", extra=[0, 0])
    found = trained(tmp_path, root / data, task, "image.size=64", "hyper.batch_size=4", "augment.rotation=10",
                    "augment.translation=5", "augment.resized_crop=true", "augment.horizontal_flip=true")
    image = found.task.config.image
    assert (image.channels, image.rgb, len(image.mean)) == ("5", True, 5)
    [prediction] = found.predict([root / data / "images" / "1.tif"])
    assert (prediction.width, prediction.height) == (40, 48)
    np.save(tmp_path / "a.npy", np.zeros((32, 32, 4), np.uint8))
    with pytest.raises(UserError, match="it has 4 bands, and 5 channels are used by the model"):
        list(found.predict([tmp_path / "a.npy"]))
    loaded = Result.load(found.run_dir)
    assert len(loaded.model.data_preprocessor.mean) == 5
    exporter = loaded.task.exporter(loaded.model, {(40, 48)})
    shape = exporter.card()["input"]["shape"][1:]
    assert shape[0] == len(exporter.pad) == 5
    with torch.no_grad(), exporter.traceable():
        assert len(exporter.module(torch.rand(1, *shape))) == len(exporter.outputs)
