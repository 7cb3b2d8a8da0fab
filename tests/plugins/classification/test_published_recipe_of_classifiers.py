"""recipe=published of torchvision's networks."""

from __future__ import annotations

import pytest

from sightsmith.core.config.compose import compose
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.recipe import follow_recipe

DATA = DatasetStatistics("labels", 100, 64, None, ("a", 50), ("b", 50), False, (None,))


def published(plugins, *overrides, fixed=()):
    config = compose(["task=classification", "dataset.root=x", "recipe=published", *overrides], plugins)
    found = follow_recipe(config, DATA, fixed, plugins)
    return found.applied(config).hyper, found


def test_resnet_is_scaled_to_the_batch(plugins):
    hyper, found = published(plugins, "network=resnet18")
    assert (hyper.optimizer, hyper.schedule, hyper.lr_step_size, hyper.epochs) == ("sgd", "step", 30, 90)
    assert hyper.learning_rate == pytest.approx(0.1 * 32 / 256)
    assert all("torchvision" in item.reason for item in found.decisions)


def test_convnext_says_what_cannot_be_mapped(plugins):
    hyper, found = published(plugins, "network=convnext_tiny", "hyper.epochs=60", fixed=("hyper.epochs",))
    assert (hyper.optimizer, hyper.weight_decay, hyper.schedule, hyper.epochs) == ("adamw", 0.05, "cosine", 60)
    assert hyper.warmup_epochs == 0.5
    assert "mixup" in found.warnings[0]


def test_a_family_without_one(plugins):
    with pytest.raises(UserError, match="no recipe for the family vgg"):
        published(plugins, "network=vgg11")
