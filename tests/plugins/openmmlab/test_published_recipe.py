"""recipe=published: what is read from the zoos' own configurations."""

from __future__ import annotations

import dataclasses

import pytest

from sightsmith.core.contracts.schema_values import check_values
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.recipe import follow_recipe


def data(annotation: str) -> DatasetStatistics:
    return DatasetStatistics(annotation, 100, 640, 50.0, ("a", 100), ("a", 100), False, (None,))


def published(plugins, task: str, *overrides, fixed=()):
    config = compose([f"task={task}", "dataset.root=x", "recipe=published", *overrides], plugins)
    found = follow_recipe(config, data("boxes" if task == "detection" else "masks"), fixed, plugins)
    return found.applied(config), " ".join(found.warnings)


def test_rtmdet(plugins):
    config, lost = published(plugins, "detection")
    hyper = config.hyper
    assert (hyper.optimizer, hyper.weight_decay, hyper.schedule) == ("adamw", 0.05, "cosine")
    assert (hyper.batch_size, hyper.epochs) == (16, 200)  # of 256 and 300: what limits.* allow
    assert hyper.learning_rate == pytest.approx(0.004 * 16 / 256)
    assert hyper.ema_decay == pytest.approx(0.9998)
    assert hyper.warmup_epochs == 20  # a tenth: their 1,000 steps are 143 epochs of these
    assert config.augment.horizontal_flip
    assert config.augment.color_jitter.hue == 0.03
    for part in ("CachedMosaic", "RandomCrop", "CachedMixUp", "a constant learning rate until epoch 150 of 300"):
        assert part in lost
    assert "YOLOXHSVRandomAug" not in lost and "PackDetInputs" not in lost


def test_faster_rcnn(plugins):
    config, lost = published(plugins, "detection", "network=faster_rcnn_r50", "limits.batch_size=16")
    hyper = config.hyper
    assert (hyper.optimizer, hyper.momentum, hyper.weight_decay) == ("sgd", 0.9, 0.0001)
    assert (hyper.batch_size, hyper.epochs, hyper.learning_rate) == (16, 12, 0.02)
    assert (hyper.schedule, hyper.lr_step_size, hyper.lr_gamma) == ("step", 8, 0.1)
    assert "[8, 11] of 12 epochs" in lost
    config, _ = published(plugins, "detection", "network=faster_rcnn_r50", "hyper.batch_size=4", "hyper.epochs=24",
                          fixed=("hyper.batch_size", "hyper.epochs"))
    assert (config.hyper.batch_size, config.hyper.epochs, config.hyper.learning_rate) == (4, 24, 0.005)
    assert config.hyper.lr_step_size == 16


def test_detr_like_networks_have_a_slow_backbone_and_clip(plugins):
    config, _ = published(plugins, "detection", "network=dino_r50")
    assert config.hyper.backbone_lr_scale == 0.1
    assert config.hyper.clip_grad_norm == 0.1
    assert config.hyper.learning_rate == pytest.approx(0.0001)


def test_segnext_has_a_fast_head(plugins):
    config, lost = published(plugins, "segmentation")
    assert config.hyper.learning_rate == pytest.approx(0.0006 * config.hyper.batch_size / 16)
    assert config.hyper.backbone_lr_scale == 0.1
    assert config.hyper.schedule == "cosine"
    assert config.hyper.epochs == config.limits.epochs
    assert "polynomial decay of power 1" in lost


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_every_network_of_the_tables_has_one_that_is_valid(plugins, task):
    known = [record for record in plugins.networks.values() if record.task == task and not record.zoo]
    assert len(known) > 20
    config = compose([f"task={task}", "dataset.root=x", "recipe=published"], plugins)
    for record in known:
        network = dataclasses.replace(config.network, name=record.name)
        found = follow_recipe(dataclasses.replace(config, network=network), data("boxes"), (), plugins)
        assert check_values(found.applied(config)) == [], record.name
        assert {"hyper.optimizer", "hyper.learning_rate", "hyper.schedule"} <= {item.key for item in found.decisions}
