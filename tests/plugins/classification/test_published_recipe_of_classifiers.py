"""recipe=published of torchvision's networks."""

from __future__ import annotations

import dataclasses

import pytest

from sightsmith.core.contracts.schema_values import check_values
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.recipe import follow_recipe
from sightsmith.plugins.classification.networks import records
from sightsmith.plugins.classification.recipe import TABLE

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
    assert "mixup" in found.warnings[0] and "label smoothing" not in found.warnings[0]


def test_a_network_without_one(plugins):
    with pytest.raises(UserError, match="torchvision does not say how it trained densenet121") as refused:
        published(plugins, "network=densenet121")
    assert "recipe=default" in refused.value.text() and "vgg16_bn" in refused.value.text()


@pytest.mark.parametrize(("network", "optimizer", "rate", "images", "epochs"), [
    ("vgg16", "sgd", 0.01, 256, 90), ("vgg16_bn", "sgd", 0.1, 256, 90), ("resnext50_32x4d", "sgd", 0.1, 256, 100),
    ("regnet_y_400mf", "sgd", 0.4, 1024, 100), ("regnet_y_800mf", "sgd", 0.8, 1024, 100),
    ("squeezenet1_1", "sgd", 0.01, 128, 100), ("efficientnet_v2_s", "sgd", 0.5, 1024, 600),
    ("swin_v2_t", "adamw", 0.001, 1024, 300), ("maxvit_t", "adamw", 0.003, 4096, 400),
    ("vit_b_16", "adamw", 0.003, 4096, 300),
])
def test_networks_of_one_family_need_not_be_alike(plugins, network, optimizer, rate, images, epochs):
    hyper, _ = published(plugins, f"network={network}", "limits.batch_size=4096", "limits.epochs=600")
    assert (hyper.optimizer, hyper.learning_rate, hyper.batch_size, hyper.epochs) == (optimizer, rate, images, epochs)
    scaled, _ = published(plugins, f"network={network}")
    assert scaled.learning_rate == pytest.approx(rate * 32 / images, rel=0.01)


def test_an_optimizer_that_is_not_here_keeps_the_default_of_the_task(plugins):
    hyper, found = published(plugins, "network=mobilenet_v3_small")
    assert (hyper.optimizer, hyper.learning_rate) == ("sgd", 0.001)
    assert (hyper.schedule, hyper.lr_gamma, hyper.weight_decay) == ("step", 0.973, 1e-5)
    assert "RMSprop" in found.warnings[0]


def test_a_larger_weight_decay_than_ours_is_said(plugins):
    hyper, found = published(plugins, "network=vit_b_32")
    assert (hyper.weight_decay, hyper.ema_decay, hyper.clip_grad_norm) == (0.1, 0.99973, 1.0)
    assert "a weight decay of 0.3, which is 0.1 here" in found.warnings[0]
    assert found.applied(compose(["task=classification", "dataset.root=x"], plugins)).task.label_smoothing == 0.11


WITHOUT = {"googlenet", "inception_v3", "efficientnet_v2_l", "mnasnet0_5", "mnasnet1_0", "regnet_y_128gf",
           "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "vit_h_14",
           *(f"densenet{layers}" for layers in (121, 161, 169, 201)),
           *(f"efficientnet_b{number}" for number in range(8))}


def test_all_other_networks_of_torchvision_have_one_that_is_valid(plugins):
    config = compose(["task=classification", "dataset.root=x", "recipe=published"], plugins)
    of_torchvision = {record.name for record in records()}
    assert {name for names in TABLE for name in names.split()} == of_torchvision - WITHOUT
    for name in of_torchvision - WITHOUT:
        chosen = dataclasses.replace(config, network=dataclasses.replace(config.network, name=name))
        assert check_values(follow_recipe(chosen, DATA, (), plugins).applied(chosen)) == [], name
