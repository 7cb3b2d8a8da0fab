"""What tuner=auto chooses, as a function of preferences, figures and the data."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import object_datasets
import pytest
from broken_datasets import folders
from dicom_files import slices
from PIL import Image

from sightsmith.core.contracts.network_record import NetworkRecord, Score
from sightsmith.core.contracts.recommendation import owned
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config, PreferenceConfig
from sightsmith.core.contracts.schema_values import check_values
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.default_recipe import LEAST_BATCH, LEAST_STEPS, MOST_PIXELS, MOST_SIDE
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.recommend import PERMISSIVE, STOPS, recommend
from sightsmith.engine.report.plan_table import recommendation_rows

TASKS = {"classification": "labels", "detection": "boxes", "segmentation": "masks"}
TASK = TaskRecord(name="t", description="", builder="a:b", score="s", annotation="boxes")
IMAGE_TYPES = ("ct", "mri", "xray", "fundus", "other")


@cache
def defaults(task: str) -> Config:
    return compose([f"task={task}", "dataset.root=x", "tuner=auto"], load_plugins())


def facts(task: str = "classification", **known) -> DatasetStatistics:
    usual = {"annotation": TASKS[task], "train_images": 1000, "side": 2000, "monochrome": False, "modalities": (None,),
             "object_side": None if task == "classification" else 300.0, "frequent": ("a", 500), "rare": ("b", 500)}
    return DatasetStatistics(**usual | known)


def network(name, parameters, score, metric="AP", data="COCO", **keys) -> NetworkRecord:
    usual = {"description": "", "builder": "a:b", "task": "t", "family": name, "input_size": 64, "weights": "w",
             "licence": "MIT", "score": score and Score(metric, score, data, "paper")}
    return NetworkRecord(name=name, parameters=parameters, **usual | keys)


def chosen(task: str = "classification", *, balance=3, image_type="other", limits=None, windows=(), **known):
    config = defaults(task)
    config = replace(config, preference=PreferenceConfig(balance, image_type),
                     limits=limits or config.limits, image=replace(config.image, windows=list(windows)))
    plugins = load_plugins()
    choice = recommend(config, plugins.task(task), plugins.networks.values(), facts(task, **known))
    assert check_values(choice.applied(config)) == []
    return choice, choice.applied(config)


def reason(choice, key):
    return next(item.reason for item in choice.decisions if item.key == key)


@pytest.mark.parametrize("image_type", IMAGE_TYPES)
@pytest.mark.parametrize("task", TASKS)
def test_five_stops_grow_in_cost_and_score_and_say_why(task, image_type):
    records = []
    for balance in range(1, STOPS + 1):
        choice, config = chosen(task, balance=balance, image_type=image_type)
        record = load_plugins().network(config.network.name)
        assert record.task == task and record.licence.startswith(PERMISSIVE)
        assert record.annotation in (None, TASKS[task])
        assert config.network.weights == "published" and record.weights
        assert config.image.size % 32 == 0
        why = reason(choice, "network.name")
        assert f"stop {balance} of {STOPS}" in why and f"{record.score.value:.3g}" in why
        assert all(row[2] for row in recommendation_rows(choice))
        assert all(owned(item.key) or item.key == "image.windows" for item in choice.decisions)
        assert config.tuner.name == "auto" and config.preference == PreferenceConfig(balance, image_type)
        records.append(record)
    for fast, accurate in pairwise(records):
        assert (fast.gflops or fast.parameters) < (accurate.gflops or accurate.parameters)
        assert fast.score.value < accurate.score.value


def test_the_same_preferences_and_data_give_the_same_choice():
    assert chosen("detection", balance=4)[0] == chosen("detection", balance=4)[0]


@pytest.mark.parametrize("known", [{}, {"monochrome": True, "modalities": ("CT",), "train_images": 60},
                                   {"side": 4000, "train_images": 200_000, "rare": ("b", 3)}])
@pytest.mark.parametrize("image_type", IMAGE_TYPES)
@pytest.mark.parametrize("task", TASKS)
def test_a_choice_made_again_from_what_it_resolved_to_is_the_same(task, image_type, known):
    plugins = load_plugins()
    _, config = chosen(task, image_type=image_type, **known)
    again = recommend(config, plugins.task(task), plugins.networks.values(), facts(task, **known))
    assert again.applied(config) == config


# -- augmentation and windows


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("image_type", IMAGE_TYPES)
def test_flips(task, image_type):
    choice, config = chosen(task, image_type=image_type)
    expected = {"fundus": True, "other": defaults(task).augment.horizontal_flip}.get(image_type, False)
    assert config.augment.horizontal_flip is expected
    assert image_type in reason(choice, "augment.horizontal_flip")
    sided_labels = task == "classification" and image_type in ("ct", "mri", "xray")
    assert config.augment.resized_crop is (False if sided_labels else defaults(task).augment.resized_crop)


def test_monochrome_images_have_no_hue_and_saturation():
    choice, config = chosen(monochrome=True)
    assert (config.augment.color_jitter.hue, config.augment.color_jitter.saturation) == (0, 0)
    assert "monochrome" in reason(choice, "augment.color_jitter.hue")
    _, config = chosen(monochrome=False)
    assert (config.augment.color_jitter.hue, config.augment.color_jitter.saturation) == (0.1, 0.1)


def test_windows_of_ct():
    assert chosen(image_type="ct", modalities=("CT",))[1].image.windows == [[40, 400]]
    assert chosen(image_type="ct", modalities=("CT", None))[1].image.windows == []
    assert chosen(image_type="ct", volumes=True)[1].image.windows == [[40, 400]]
    assert chosen(image_type="other", modalities=("CT",))[1].image.windows == []
    assert chosen(image_type="ct", modalities=("CT",), windows=[[600, 2000]])[1].image.windows == [[600, 2000]]


@pytest.mark.parametrize(("image_type", "modality", "says"), [
    ("ct", "MR", "preference.image_type=mri for these"), ("other", "CT", "preference.image_type=ct for these"),
    ("fundus", "DX", "preference.image_type=xray for these"), ("xray", "CR", None), ("xray", "OT", None),
    ("other", None, None),
])
def test_contradictions_are_warned_of(image_type, modality, says):
    warnings = chosen(image_type=image_type, modalities=(modality,))[0].warnings
    assert [says in text for text in warnings] == ([True] if says else [])


# -- input


def test_images_smaller_than_the_networks_own_input():
    assert chosen(side=2000, balance=1)[1].image.size == 224
    choice, config = chosen(side=150, balance=1)
    assert config.image.size == 160
    assert "longer side is 150" in reason(choice, "image.size")
    assert chosen(side=20, balance=1)[1].image.size == 128


def test_a_network_is_not_shrunk_below_what_is_known_to_work():
    fixed = network("fixed", 1, 50, input_size=224)
    config = defaults("detection")

    def size(record):
        return recommend(config, TASK, [record], facts("detection", side=100)).applied(config).image.size

    assert size(fixed) == 224
    assert size(replace(fixed, min_size=160)) == 160


def test_small_objects_get_a_larger_input():
    choice, config = chosen("detection", balance=2, side=800, object_side=15)  # 12 px at the network's own 640
    assert config.image.size == 864
    assert config.dataset.tile is None
    assert "15 px" in reason(choice, "image.size")
    assert chosen("detection", balance=2, side=800, object_side=40)[1].image.size == 640
    assert chosen("detection", balance=2, side=300, object_side=2)[1].image.size == 608  # twice the images


def test_very_small_objects_get_tiles():
    choice, config = chosen("detection", balance=2, side=4000, object_side=12)
    assert (config.image.size, config.dataset.tile) == (640, 480)
    assert "12 px" in reason(choice, "dataset.tile")
    assert chosen("detection", balance=2, side=4000, object_side=2)[1].dataset.tile == 320  # twice as large as they are
    for balance in range(1, 6):
        for task in ("detection", "segmentation"):
            _, config = chosen(task, balance=balance, side=4000, object_side=5)
            assert config.image.size <= MOST_SIDE
            assert config.hyper.batch_size * config.image.size**2 <= MOST_PIXELS or config.hyper.batch_size <= 2


# -- hyperparameters


def test_few_cases_get_small_batches_and_many_epochs():
    choice, few = chosen(train_images=80)
    _, many = chosen(train_images=50_000)
    assert few.hyper.batch_size == 8 and many.hyper.batch_size == 32
    assert LEAST_STEPS * few.hyper.batch_size <= 80
    assert few.hyper.epochs == 200 and many.hyper.epochs == 10
    assert few.hyper.learning_rate < many.hyper.learning_rate
    assert "80 training images" in reason(choice, "hyper.batch_size")
    assert few.network.name == many.network.name
    assert chosen("detection", train_images=20)[1].hyper.batch_size == LEAST_BATCH


def test_large_inputs_get_smaller_batches():
    choice, config = chosen(balance=5)
    assert config.image.size == 480
    assert config.hyper.batch_size == 16
    assert "memory" in reason(choice, "hyper.batch_size")


def test_limits_hold():
    limits = replace(defaults("classification").limits, batch_size=4, epochs=3)
    _, config = chosen(limits=limits)
    assert (config.hyper.batch_size, config.hyper.epochs) == (4, 3)


def test_accumulated_passes_count():
    config = defaults("classification")
    config = replace(config, trainer=replace(config.trainer, gradient_accumulation=4))
    plugins = load_plugins()
    alone, four = (recommend(one, plugins.task("classification"), plugins.networks.values(), facts()).applied(one)
                   for one in (defaults("classification"), config))
    assert four.hyper.learning_rate == pytest.approx(2 * alone.hyper.learning_rate, rel=0.05)
    assert four.hyper.epochs > alone.hyper.epochs


@pytest.mark.parametrize(("rare", "balance"), [(500, "none"), (167, "none"), (166, "sampling"), (0, "sampling")])
def test_rare_classes_are_drawn_more_often(rare, balance):
    choice, config = chosen(rare=("b", rare))
    assert config.hyper.class_balance == balance
    assert f"b: {rare}" in reason(choice, "hyper.class_balance")


# -- the space


def test_the_space_is_that_of_population_based_training_narrowed():
    choice, config = chosen()
    space = {item.key: item for item in choice.space}
    assert {key: (item.low, item.high, item.log) for key, item in space.items()} == {
        "hyper.learning_rate": (1e-5, 3e-3, True), "hyper.weight_decay": (5e-6, 0.002, True),
        "hyper.momentum": (0.8, 0.99, False)}
    for item in choice.space:
        assert item.low <= getattr(config.hyper, item.key.removeprefix("hyper.")) <= item.high


def test_a_preset_keeps_its_values(plugins):
    config = compose(["preset=pneumothorax", "dataset.root=x", "tuner=auto"], plugins)
    choice = recommend(config, plugins.task("classification"), plugins.networks.values(), facts())
    assert choice.applied(config) == config
    assert "pneumothorax" in reason(choice, "hyper.epochs")
    assert {item.key: item.high for item in choice.space}["hyper.weight_decay"] == 0.01  # the preset's own


def test_the_space_of_sgd_is_the_whole(plugins):
    config = compose(["preset=pneumothorax", "dataset.root=x"], plugins)
    config = replace(config, hyper=replace(config.hyper, optimizer="sgd", weight_decay=0))
    choice = recommend(config, TASK, (), facts())
    rate, decay, _ = choice.space
    assert (rate.low, rate.high) == (1e-5, 0.1)
    assert (decay.low, decay.high, decay.log) == (0, 0.002, False)


# -- facts


def measured(*overrides) -> DatasetStatistics:
    dataset = check(compose(overrides, load_plugins()), load_plugins(), lambda line: None)
    dataset.raise_for_errors()
    return DatasetStatistics.of(dataset)


def test_facts_of_labelled_images(tmp_path):
    folders(tmp_path, (("cat", 5), ("dog", 20)))
    found = measured("task=classification", f"dataset.root={tmp_path}")
    assert found == DatasetStatistics("labels", 20, 24, None, ("dog", 16), ("cat", 4), False, (None,))


def test_facts_of_monochrome_and_of_dicom_images(tmp_path):
    for number in range(10):
        grey = np.random.default_rng(number).integers(0, 255, (20, 24, 1), np.uint8)
        path = tmp_path / "rgb" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey.repeat(3, axis=2)).save(path)
    assert measured("task=classification", f"dataset.root={tmp_path / 'rgb'}").monochrome
    slices(tmp_path / "ct")
    found = measured("task=classification", f"dataset.root={tmp_path / 'ct'}")
    assert found.monochrome
    assert found.modalities == ("CT",)


@pytest.mark.parametrize(("task", "make", "side"), [
    ("detection", object_datasets.box_csv(), 48**0.5), ("segmentation", object_datasets.mask_csv(), 48**0.5),
    ("segmentation", object_datasets.masks(), None),
])
def test_facts_of_objects(tmp_path, task, make, side):
    found = measured(f"task={task}", *make(tmp_path))
    assert (found.annotation, found.side) == (TASKS[task], 24)
    assert found.object_side == pytest.approx(side)
