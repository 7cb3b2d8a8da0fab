"""Test-time augmentation: what is predicted for flipped views, and what evaluation says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from command_line import refused
from PIL import Image
from processes import command
from tiny import TinyTask, tiny_config

import sightsmith
from sightsmith.core.contracts.schema import AugmentConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.masks import decode
from sightsmith.engine.pipeline.evaluate import evaluate
from sightsmith.engine.pipeline.inference import Predictor, batches, flips
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.plugins.detection.fusion import flipped_boxes, fuse

AXES = ((-1,), (-2,), (-2, -1))


@pytest.fixture
def path(tmp_path):
    """A picture that is no square and differs from its mirror images."""
    path = tmp_path / "picture.png"
    values = np.random.default_rng(0).integers(0, 90, (48, 80, 3), dtype=np.uint8)
    values[5:25, 8:30] = 230
    values[30:44, 50:60] = 180
    Image.fromarray(values).save(path)
    return path


def flipped_file(path, axes):
    target = path.with_name(f"flipped{axes}.png")
    Image.fromarray(np.flip(np.asarray(Image.open(path)), [axis % 2 for axis in axes])).save(target)
    return target


def parts(result, path, axes=()):
    """The raw prediction for the picture in ``path``, in its view along ``axes``."""
    sample = check(result.task.config, result.plugins, lambda line: None).validation[0]
    sample = replace(sample, path=path, name=path.name, tile=None, objects=(), semantic_mask=None)
    [batch] = batches(result.task, [sample])
    with torch.no_grad():
        [part] = result.task.predict(result.model, result.task.flipped(batch, axes))
    return part


def with_flips(result):
    """``result`` as if it had been trained with flips, which the defaults of detection leave out."""
    fresh = sightsmith.load(result.run_dir)
    config = fresh.task.config
    fresh.task.config = replace(config, augment=replace(config.augment, horizontal_flip=True))
    return fresh


@pytest.mark.parametrize("axes", AXES)
def test_a_view_of_labels_is_the_flipped_picture(digits, axes, path):
    assert parts(digits, path, axes)["scores"] == pytest.approx(
        parts(digits, flipped_file(path, axes))["scores"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("run", ["boxes", "mask_tiles"])
def test_objects_of_a_view_are_flipped_back(request, run, axes, path):
    result = request.getfixturevalue(run)
    view, flipped = parts(result, path, axes), parts(result, flipped_file(path, axes))
    assert len(view["boxes"]) > 0
    assert view["scores"] == pytest.approx(flipped["scores"], abs=1e-4)
    assert view["boxes"] == pytest.approx(flipped_boxes(flipped["boxes"], (48, 80), axes), abs=0.05)
    if result.task.with_masks:
        same = [(decode(one, 48, 80) == np.flip(decode(other, 48, 80), axes)).mean()
                for one, other in zip(view["masks"], flipped["masks"], strict=True)]
        assert min(same) > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("axes", AXES)
def test_the_map_of_a_view_is_flipped_back(maps, axes, path):
    view, flipped = parts(maps, path, axes)["logits"], parts(maps, flipped_file(path, axes))["logits"]
    assert view.shape == (len(maps.classes) + 1, 48, 80)
    assert np.abs(view - np.flip(flipped, axes)).max() < 1e-6
    assert np.abs(view - parts(maps, path)["logits"]).max() > 1e-5  # little is learnt, but the views do differ


@pytest.mark.slow
def test_predictions_of_views_are_combined(digits, boxes, maps, path):
    both = [parts(digits, path, axes)["scores"] for axes in ((), (-1,))]
    [found] = digits.predict([path], tta=True)
    assert [found.scores[name] for name in digits.classes] == pytest.approx(np.mean(both, axis=0), abs=1e-6)
    logits = [parts(maps, path, axes)["logits"] for axes in ((), (-1,))]
    [found] = maps.predict([path], tta=True)
    assert (found.semantic_mask == np.mean(logits, axis=0).argmax(0)).all()
    boxes = with_flips(boxes)
    expected = fuse([parts(boxes, path, axes) for axes in ((), (-1,))], 100)
    [found] = boxes.predict([path], tta=True)
    assert np.array([item.box for item in found.objects]) == pytest.approx(expected["boxes"], abs=1e-3)
    assert [item.score for item in found.objects] == pytest.approx(expected["scores"].tolist(), abs=1e-6)


def test_only_views_that_the_training_showed():
    assert flips(AugmentConfig(horizontal_flip=True, rotate90=False)) == ((), (-1,))
    assert flips(AugmentConfig(horizontal_flip=False, rotate90=False)) == ((),)
    assert flips(AugmentConfig(horizontal_flip=False, rotate90=True)) == ((), (-2, -1))
    assert flips(AugmentConfig(horizontal_flip=True, rotate90=True)) == ((), (-1,), (-2,), (-2, -1))


def test_sides_that_differ_have_no_mirrored_view(digits):
    config = replace(digits.task.config, augment=AugmentConfig(horizontal_flip=False))
    task = type(digits.task)(digits.task.record, config, digits.task.network, digits.classes)
    with pytest.raises(UserError, match="augment.horizontal_flip=false"):
        Predictor(task, (digits.model,)).with_flips()
    with pytest.raises(UserError, match="tta=true: the task tiny cannot combine"):
        Predictor(TinyTask(None, tiny_config(), None, ["a"]), (None,)).with_flips()


@pytest.mark.slow
@pytest.mark.parametrize(("run", "score"), [("digits", "accuracy"), ("boxes", "ap"), ("maps", "dice")])
def test_evaluation_says_what_it_gained(request, tmp_path, run, score):
    result = with_flips(request.getfixturevalue(run))
    plain = evaluate(result, split="validation", output_dir=tmp_path).splits["validation"]
    found = evaluate(result, split="validation", output_dir=tmp_path, tta=True)
    split = found.splits["validation"]
    assert plain.tta_gain is None
    assert split.tta_gain.before == pytest.approx(plain.metrics[score], abs=1e-6)
    assert split.tta_gain.value == pytest.approx(split.metrics[score] - plain.metrics[score], abs=1e-6)
    assert split.tta_gain.interval.low <= split.tta_gain.value <= split.tta_gain.interval.high
    kept = json.loads((found.folder / "metrics.json").read_text())["splits"]["validation"]
    assert kept["tta_gain"] == split.tta_gain.value
    assert f"gain of {score} by test-time augmentation" in found.report.read_text()


@pytest.mark.slow
def test_the_commands(digits, tmp_path, path):
    code, output, errors = command("evaluate", f"run={digits.run_dir}", "split=validation", "tta=true",
                                   f"output_dir={tmp_path}")
    assert code == 0, errors
    assert "gain by tta" in output
    code, output, errors = command("predict", f"run={digits.run_dir}", f"input={path}", "tta=true", "--json",
                                   f"output_dir={tmp_path}")
    assert code == 0, errors
    [found] = digits.predict([path], tta=True)
    assert json.loads(output)["images"][0]["labels"][0]["score"] == pytest.approx(
        next(iter(found.scores.values())), abs=1e-5)
    assert "tta=maybe" in refused("predict", f"run={digits.run_dir}", "input=x", "tta=maybe")
