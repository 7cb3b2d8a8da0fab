"""Recipes: what they may set, what wins over them, and what the plan says of it."""

from __future__ import annotations

import json

import pytest
import yaml
from fake_plugins import with_plugin
from small_runs import LABELS

from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
from sightsmith.core.contracts.records import RecipeRecord
from sightsmith.core.util.errors import PluginError, UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.default_recipe import LEAST_BATCH, LEAST_STEPS, STEPS, default_recipe
from sightsmith.engine.pipeline.recipe import fixed_keys, follow_recipe, settings
from sightsmith.engine.pipeline.start import start

TASK = ["task=classification", "dataset.root=x"]
RUN = [key for key in LABELS if not key.startswith(("recipe=", "hyper."))]
DATA = DatasetStatistics("labels", 100, 300, None, ("a", 50), ("b", 50), False, (None,))


def chosen(plugins, *overrides, data=DATA):
    config = compose([*TASK, *overrides], plugins)
    fixed = fixed_keys(config, [*TASK, *overrides], plugins)
    found = follow_recipe(config, data, fixed, plugins)
    applied = found.applied(config)
    return applied, {item.key: item for item in settings(applied, fixed, found)}


def test_the_default_recipe_is_the_default_and_scales_with_the_data(plugins):
    few, origins = chosen(plugins)
    assert few.recipe == "default"
    assert few.hyper.optimizer == "adamw" and few.hyper.schedule == "cosine" and few.hyper.ema_decay > 0.9
    assert LEAST_STEPS * few.hyper.batch_size <= 100
    assert origins["hyper.batch_size"].origin == "recipe=default"
    assert "100 training images" in origins["hyper.batch_size"].reason
    many, _ = chosen(plugins, data=DatasetStatistics("labels", 50_000, 300, None, ("a", 5), ("b", 5), False, (None,)))
    assert many.hyper.batch_size == 32 and many.hyper.epochs < few.hyper.epochs
    assert many.hyper.ema_decay > few.hyper.ema_decay
    assert many.hyper.epochs * 50_000 / 32 >= STEPS


def test_from_scratch_learning_is_faster_than_from_pretrained_weights(plugins):
    pretrained, _ = chosen(plugins)
    scratch, _ = chosen(plugins, "network.weights=none")
    assert scratch.hyper.learning_rate > 1.9 * pretrained.hyper.learning_rate
    assert scratch.hyper.weight_decay > pretrained.hyper.weight_decay
    attention, _ = chosen(plugins, "network=swin_t")
    assert attention.hyper.learning_rate == pytest.approx(0.1 * pretrained.hyper.learning_rate, rel=0.05)


def test_the_platform_recipe_is_the_defaults_of_the_task(plugins):
    config, origins = chosen(plugins, "recipe=platform")
    assert config == compose([*TASK, "recipe=platform", "dataset.folds=none"], plugins)
    assert (config.hyper.optimizer, config.hyper.epochs, config.hyper.learning_rate) == ("sgd", 100, 0.001)
    assert origins.pop("dataset.folds").origin == "recipe=platform"
    assert {item.origin for item in origins.values()} == {"default"}


def test_what_is_typed_wins_also_with_the_defaults_value_and_the_rest_follows_it(plugins):
    config, origins = chosen(plugins, "hyper.batch_size=32", "hyper.learning_rate=0.001", "image.size=64",
                             "augment.horizontal_flip=false")
    assert (config.hyper.batch_size, config.hyper.learning_rate, config.image.size) == (32, 0.001, 64)
    assert config.augment.horizontal_flip is False
    for key in ("hyper.batch_size", "hyper.learning_rate"):
        assert origins[key].origin == "set by you" and not origins[key].reason
    assert "image.size" not in origins
    assert config.hyper.optimizer == "adamw"
    own, _ = chosen(plugins)
    assert config.hyper.warmup_epochs == pytest.approx(own.hyper.warmup_epochs)
    sgd, _ = chosen(plugins, "hyper.optimizer=sgd")
    assert sgd.hyper.learning_rate > 5 * own.hyper.learning_rate  # as SGD needs it


def test_a_preset_wins_over_the_recipe_and_you_over_the_preset(plugins):
    config, origins = chosen(plugins, "preset=pneumothorax", "hyper.epochs=7")
    assert config.recipe == "platform"
    assert config.hyper.epochs == 7 and origins["hyper.epochs"].origin == "set by you"
    assert origins["hyper.optimizer"].origin == "preset pneumothorax"
    with pytest.raises(UserError) as refused:
        compose([*TASK[1:], "preset=pneumothorax", "recipe=published"], plugins)
    assert "recipe is locked to platform" in refused.value.text()


def test_an_unknown_recipe_is_named(plugins):
    with pytest.raises(UserError) as refused:
        compose([*TASK, "recipe=publisht"], plugins)
    assert "unknown recipe 'publisht'. Did you mean 'published'?" in refused.value.text()


def gentle(config, task, network, data, fixed):
    values = default_recipe(config, task, network, data, fixed)
    own = (RecommendedValue("hyper.weight_decay", 0.02, "as we like it"),
           RecommendedValue("task.label_smoothing", 0.1, "labels are noisy"))
    return Recommendation((*values.decisions, *own), warnings=("no mosaic",))


def greedy(config, task, network, data, fixed):
    return Recommendation((RecommendedValue("network.name", "resnet18", ""), RecommendedValue("hyper.epochs", 9, "")))


def wild(config, task, network, data, fixed):
    return Recommendation((RecommendedValue("hyper.learning_rate", 7.0, ""),))


def recipe(name):
    return [RecipeRecord(name=name, description="mine", builder=f"stranger:{name}")]


def test_a_recipe_of_a_plugin(monkeypatch):
    plugins = with_plugin(monkeypatch, "stranger", "sightsmith_recipes", recipe("gentle"), gentle=gentle)
    config, origins = chosen(plugins, "recipe=gentle")
    assert config.hyper.weight_decay == 0.02
    assert origins["hyper.weight_decay"].reason == "as we like it"
    assert config.task.label_smoothing == 0.1


@pytest.mark.parametrize(("function", "says"), [(greedy, "network.name"), (wild, "hyper.learning_rate=7 is out of")])
def test_a_recipe_that_sets_what_it_cannot(monkeypatch, function, says):
    name = function.__name__
    plugins = with_plugin(monkeypatch, "stranger", "sightsmith_recipes", recipe(name), **{name: function})
    with pytest.raises(PluginError, match=says):
        chosen(plugins, f"recipe={name}")


def train(plugins, *overrides):
    return start(compose(overrides, plugins), overrides, plugins)


@pytest.mark.slow
def test_a_run_keeps_what_was_chosen_and_goes_on_with_it(tmp_path, capsys, plugins):
    from sightsmith.engine.pipeline.verify import check_run, train_again

    out = f"output_dir={tmp_path}"
    train(plugins, *RUN, "hyper.epochs=2", out, "trainer.pause_after_epoch=1")
    [folder] = tmp_path.glob("2*")
    plan = json.loads((folder / "plan.json").read_text())
    origins = {item["key"]: item["origin"] for item in plan["settings"]}
    assert origins["hyper.epochs"] == "set by you" and origins["hyper.optimizer"] == "recipe=default"
    assert "Hyperparameters" in capsys.readouterr().out
    assert train(plugins, *RUN, "hyper.epochs=2", out, f"trainer.resume={folder}").run_dir == folder
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    assert kept["hyper"]["optimizer"] == "adamw" and kept["recipe"] == "default"
    checks = check_run(folder, print, plugins)
    assert {item.state for item in checks} == {"same"}
    assert train_again(folder, checks, plugins).same


@pytest.mark.slow
def test_a_time_budget_shortens_the_schedule_once(tmp_path, monkeypatch, plugins):
    from sightsmith.engine.pipeline import planning
    from sightsmith.engine.pipeline.verify import check_run, train_again

    keys = [*RUN, "hyper.epochs=8", "hyper.warmup_epochs=2", f"output_dir={tmp_path}", "trainer.time_budget=0.2"]
    monkeypatch.setattr(planning, "estimate_seconds", lambda **known: 6.0 * known["epochs"])
    train(plugins, *keys, "trainer.pause_after_epoch=1")
    [folder] = tmp_path.glob("2*")
    plan = json.loads((folder / "plan.json").read_text())
    settings = {item["key"]: item for item in plan["settings"]}
    assert plan["epochs"] == settings["hyper.epochs"]["value"] == 2  # 12 seconds of 6
    assert settings["hyper.warmup_epochs"]["value"] == 0.5
    assert settings["hyper.epochs"]["origin"] == "trainer.time_budget=0.2"
    # The machine is faster now.
    monkeypatch.setattr(planning, "estimate_seconds", lambda **known: 1.0 * known["epochs"])
    train(plugins, *keys, f"trainer.resume={folder}")
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    assert (kept["hyper"]["epochs"], kept["hyper"]["warmup_epochs"]) == (2, 0.5)
    assert train_again(folder, check_run(folder, print, plugins), plugins).same


@pytest.mark.parametrize(("hours", "more", "said"), [
    (2, (), True), (0.5, (), False), (2, ("trainer.time_budget=600",), False)])
def test_a_long_training_says_how_to_make_it_shorter(hours, more, said, tmp_path, monkeypatch, capsys, plugins):
    from sightsmith.engine.pipeline import planning

    monkeypatch.setattr(planning, "estimate_seconds", lambda **known: 3600.0 * hours)
    train(plugins, *RUN, "hyper.epochs=2", f"output_dir={tmp_path}", "trainer.dry_run=true", *more)
    assert ("trainer.time_budget=30" in capsys.readouterr().out) is said


def detection(plugins, *overrides, images=100, modalities=(None,), volumes=False, annotation="boxes"):
    typed = ["task=detection", "dataset.root=x", *overrides]
    config = compose(typed, plugins)
    data = DatasetStatistics(annotation, images, 300, 50.0, ("a", 50), ("b", 50), False, modalities, volumes)
    return follow_recipe(config, data, fixed_keys(config, typed, plugins), plugins).applied(config)


def test_a_long_training_of_detection_has_strong_augmentation(plugins):
    assert detection(plugins).augment.extra.keys() == {"mosaic", "affine"}
    instances = detection(plugins, "network=rtmdet_ins_tiny", annotation="masks")
    assert instances.augment.extra == detection(plugins).augment.extra
    assert not detection(plugins, "hyper.epochs=30").augment.extra
    assert not detection(plugins, images=100_000).augment.extra  # in few epochs
    with_budget = detection(plugins, "trainer.time_budget=5").augment.extra
    assert [values["min_epochs"] for values in with_budget.values()] == [40, 40]
    assert not detection(plugins, modalities=("DX",)).augment.extra
    assert not detection(plugins, volumes=True).augment.extra
    assert detection(plugins).augment.horizontal_flip and not detection(plugins, volumes=True).augment.horizontal_flip
    assert not detection(plugins, "augment.extra.mosaic.probability=0").augment.extra
    assert detection(plugins, "augment.extra.blur.probability=1").augment.extra.keys() == {"blur"}


def test_batches_are_never_too_small_for_batch_normalization(plugins):
    few = DatasetStatistics("labels", 10, 300, None, ("a", 5), ("b", 5), False, (None,))
    config, _ = chosen(plugins, data=few)
    assert config.hyper.batch_size == LEAST_BATCH
