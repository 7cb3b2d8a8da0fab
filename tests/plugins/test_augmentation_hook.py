"""A stranger's augmentation: listed, refused with the near match, and used in training, from the item's seed alone."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from fake_plugins import with_plugin
from small_runs import LABELS, SMALL
from torch.utils.data import DataLoader

import sightsmith
from sightsmith.cli import main
from sightsmith.core.contracts.augmentation import AugmentationRecord
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import PluginError, UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.overrides import all_keys
from sightsmith.engine.data.augmentations import CheckedAugmentation, apply_augmentations, build_augmentation
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.start import start
from sightsmith.testing import PluginConformance

SOURCE = '''
import numpy as np
from sightsmith.plugin import AugmentationRecord, Option, hookimpl


@hookimpl
def sightsmith_augmentations():
    return [AugmentationRecord(name="speckles", description="speckles", builder="speckled:Noise", options={
        "low": Option(0.1, "smallest", low=0, high=3), "high": Option(0.5, "largest", tasks=("segmentation",))})]


class Noise:
    def __init__(self, low, high):
        if low > high:
            raise ValueError("low is above high")
        self.low, self.high = low, high

    def __call__(self, image, generator):
        scale = 255 if image.dtype == np.uint8 else 1
        noise = generator.normal(0, scale * generator.uniform(self.low, self.high), image.shape)
        return (image + noise).clip(0, scale).astype(image.dtype)
'''
SPECKLES = ["augment.extra.speckles.probability=1", "augment.extra.speckles.low=0.2"]
RUNS = {
    "classification": LABELS,
    "detection": [*SMALL, "task=detection", "network=rtmdet_tiny"],
    "segmentation": [*SMALL, "task=segmentation", "network=fastscnn"],
}


@pytest.fixture
def speckled(fake_distribution):
    fake_distribution("speckled", SOURCE)
    return load_plugins()


def record():
    return AugmentationRecord(name="odd", description="d", builder="odd:odd")


def refusal(speckled, *overrides):
    with pytest.raises(UserError) as refused:
        compose(["task=classification", "dataset.root=sample", *overrides], speckled)
    return refused.value.text()


def test_unknown_names_options_and_values_are_refused_together_with_what_is_there(speckled):
    text = refusal(speckled, "+augment.extra.speckels={}", "+augment.extra.speckles.hihg=1", "hyper.momentum=7",
                   "augment.extra.speckles.low=4", "augment.extra.blur.probability=much")
    assert "augment.extra.speckels: no installed plugin provides the augmentation 'speckels'. Did you mean" in text
    assert "speckles" in text.partition("installed: ")[2].partition("; `sightsmith list augmentations`")[0]
    assert "has no option 'hihg'. Did you mean 'high'?" in text
    assert "hyper.momentum=7 is out of range" in text
    assert "augment.extra.speckles.low=4 is out of range: from 0 to 3 (default 0.1)" in text
    assert "augment.extra.blur.probability=much is not a number (default 0)" in text
    assert "augment.extra.speckles=0.3 is not a mapping of options" in refusal(speckled, "augment.extra.speckles=0.3")
    assert "Did you mean 'augment.extra.blur.probability'" in refusal(speckled, "augment.extra.blurr.probability=0.2")
    mistyped = refusal(speckled, "augment.extra.speckles.hgih=0.2", "augment.extra.speckles.high=1")
    assert "Did you mean 'augment.extra.speckles.high'" in mistyped
    assert "augment.extra.speckles.high belongs to task=segmentation" in mistyped
    assert "augment.extra.speckles.high belongs to task=segmentation" in refusal(
        speckled, "augment.extra.speckles.high=1")


def test_a_run_keeps_only_what_is_switched_on(speckled):
    overrides = ["task=classification", "dataset.root=sample", "augment.extra.speckles.low=0.2"]
    assert compose(overrides, speckled).augment.extra == {}
    config = compose([*overrides, "augment.extra.speckles.probability=1"], speckled)
    assert config.augment.extra == {"speckles": {"probability": 1, "min_epochs": 0, "low": 0.2, "high": 0.5}}
    tasks_of = {key: (field.default, tasks) for key, field, tasks in all_keys(speckled)}
    assert tasks_of["augment.extra.speckles.high"] == (0.5, ("segmentation",))
    assert tasks_of["augment.extra.speckles.probability"] == (0.0, ())


def test_options_that_the_builder_refuses_are_the_users_mistake(speckled):
    with pytest.raises(UserError, match=r"'speckles' of speckled .*'low': 2.*ValueError: low is above h") as refused:
        build_augmentation(speckled.augmentation("speckles"), {"low": 2})
    assert refused.value.exit_code == 2
    assert "its defaults: {'low': 0.1, 'high': 0.5}" in refused.value.hint


def test_a_probability_is_kept_to():
    def whiten(image, generator):
        return image + 1

    image = torch.zeros(1, 1, 1)
    half = CheckedAugmentation(record(), whiten, 0.5)
    changed = [float(apply_augmentations(image, [half], seed)) for seed in range(400)]
    assert 160 < sum(changed) < 240
    assert apply_augmentations(image, [CheckedAugmentation(record(), whiten, 0.0)], 0) == 0


def test_it_is_listed_and_free_with_the_auto_tuner(speckled, capsys):
    with pytest.raises(SystemExit, match="^0$"):
        main(["list", "augmentations", "--json"])
    [row] = [row for row in json.loads(capsys.readouterr().out) if row["name"] == "speckles"]
    assert row["kind"] == "photometric"
    assert row["options"] == {"probability": 0, "min_epochs": 0, "low": 0.1, "high": 0.5}
    config = compose(["task=classification", "dataset.root=sample", "tuner=auto",
                      "augment.extra.speckles.probability=0.5"], speckled)
    assert config.augment.extra["speckles"]["probability"] == 0.5


@pytest.mark.parametrize("broken", [
    lambda image, generator: image[:4], lambda image, generator: image.astype("float64"),
    lambda image, generator: None, lambda image, generator: image.nothing])
def test_a_result_of_another_kind_names_the_plugin(monkeypatch, broken):
    plugins = with_plugin(monkeypatch, "odd", "sightsmith_augmentations", [record()], odd=lambda: broken)
    augmentation = build_augmentation(plugins.augmentation("odd"), {"probability": 1.0})
    with pytest.raises(PluginError, match=r"plugin odd \(odd-dist 1.0\): augmentation 'odd' (failed|returned)"):
        apply_augmentations(torch.zeros(3, 8, 6), [augmentation], 0)


def test_the_image_that_is_kept_stays_as_it_is():
    def spoil(image, generator):
        image[:] = 0
        return image

    kept = torch.ones(3, 8, 6, dtype=torch.uint8)
    assert apply_augmentations(kept, [CheckedAugmentation(record(), spoil)], 0).sum() == 0
    assert kept.all()
    assert apply_augmentations(kept, [], 0) is kept


@pytest.mark.parametrize("task", RUNS)
def test_an_item_depends_on_index_and_seed_alone(speckled, task):
    config = compose([*RUNS[task], *SPECKLES], speckled)
    dataset = check(config, speckled, lambda line: None)
    record, network = speckled.task(task), speckled.network(config.network.name)
    extra = [build_augmentation(speckled.augmentation("speckles"), config.augment.extra["speckles"])]
    make = partial(record.build(), record, config, network, dataset.index.classes, dataset.index.multi_label)
    items, plain = (made.dataset(dataset.train, training=True) for made in (make(extra), make()))
    for index in (0, 1):
        first, other, again = (image_of(items[index, seed]) for seed in (3, 4, 3))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        without = image_of(plain[index, 3])
        assert first.shape == without.shape
        assert first.dtype == without.dtype
        assert not torch.equal(first, without)
        assert first.min() >= 0
        assert first.max() <= (1 if task == "classification" else 255)
    loader = DataLoader(items, batch_size=None, sampler=[(1, 3), (0, 3)], num_workers=1)
    assert all(torch.equal(image_of(loaded), image_of(items[index, 3]))
               for loaded, index in zip(loader, (1, 0), strict=True))
    validation = (made.dataset(dataset.train, training=False)[0] for made in (make(extra), make()))
    assert torch.equal(*map(image_of, validation))


def image_of(item):
    return item["inputs"] if isinstance(item, dict) else item[0]


def test_the_conformance_suite_tries_it(fake_distribution):
    class Suite(PluginConformance):
        distribution = "speckled"

    fake_distribution("speckled", SOURCE)
    Suite().test_augmentations_keep_to_their_kind_and_draw_from_their_generator()


@pytest.mark.parametrize(("sound", "wrong", "complaint"), [
    ("generator.normal(", "np.random.normal(", "draws from something else"),
    (".clip(0, scale)", ".clip(-1, scale)", "leaves the range")])
def test_the_conformance_suite_finds_what_is_wrong(fake_distribution, sound, wrong, complaint):
    class Suite(PluginConformance):
        distribution = "speckled"

    fake_distribution("speckled", SOURCE.replace(sound, wrong))
    with pytest.raises(AssertionError, match=complaint):
        Suite().test_augmentations_keep_to_their_kind_and_draw_from_their_generator()


@pytest.mark.slow
@pytest.mark.parametrize("task", RUNS)
def test_two_epochs_resumed_are_two_epochs(speckled, tmp_path, monkeypatch, task):
    run = [*RUNS[task], "hyper.epochs=2", *SPECKLES, "trainer.num_workers=0"]
    whole = sightsmith.train([*run, f"output_dir={tmp_path / 'whole'}"])
    lock = json.loads((whole.run_dir / "lock.json").read_text())
    assert lock["packages"]["speckled"] == "0.1"
    kept = "speckles:\n      probability: 1\n      min_epochs: 0\n      low: 0.2"
    assert kept in (whole.run_dir / "config.yaml").read_text()
    halves = [*run, f"output_dir={tmp_path / 'halves'}"]
    paused = [*halves, "trainer.pause_after_epoch=1"]
    assert start(compose(paused, speckled), paused, speckled) is None
    resumed = sightsmith.train([*halves, "trainer.resume=true"])
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    monkeypatch.setenv("SIGHTSMITH_DISABLE_PLUGINS", "1")
    again = sightsmith.load(whole.run_dir)
    assert "speckles" not in again.plugins.augmentations
    assert again.model is not None
