"""An item is a function of its key: in any order, in any process, with everything on."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import SMALL
from torch.utils.data import DataLoader

import sightsmith
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.augmentations import Seed
from sightsmith.engine.pipeline.start import start

HALF = {"probability": 0.5}
KINDS = ("classification", "detection", "masks", "segmentation")


def everything(kind):
    task = "detection" if kind == "masks" else kind
    return {name: HALF for name, record in load_plugins().augmentations.items()
            if not record.tasks or task in record.tasks}


def tensors(item):
    if not isinstance(item, dict):
        return [item[0], torch.as_tensor(item[1])]
    sample = item["data_samples"]
    if "gt_sem_seg" in sample:
        return [item["inputs"], sample.gt_sem_seg.data]
    found = [item["inputs"], sample.gt_instances.bboxes, sample.gt_instances.labels]
    return [*found, torch.from_numpy(sample.gt_instances.masks.masks)] if "masks" in sample.gt_instances else found


def same(first, second):
    return all(torch.equal(*pair) for pair in zip(tensors(first), tensors(second), strict=True))


@pytest.fixture
def samples(squares):
    """Of 8 and 16 bits, wide and tall, one without objects."""
    return [squares("a", (60, 80), [(10, 10, 40, 40), (50, 20, 70, 50)]), squares("b", (90, 50), [(5, 5, 30, 60)]),
            squares("c", (64, 64)), squares("d", (40, 40), [(4, 4, 30, 30)], dtype=np.uint16)]


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_is_the_same_item_in_any_order_and_process(make_data, samples, kind, workers):
    if kind == "classification":
        samples = [Sample(sample.path, sample.name, sample.labels[:1] or ("dark",)) for sample in samples]
    keys = [(index, Seed.at(seed, 0.2)) for seed in range(3) for index in range(4)]
    expected = dict(zip(keys, map(make_data(kind, samples, size=48, **everything(kind)).__getitem__, keys),
                        strict=True))
    assert len({tensors(item)[0].float().mean().item() for item in expected.values()}) > 10
    shuffled = [keys[place] for place in np.random.default_rng(0).permutation(len(keys))]
    loader = DataLoader(make_data(kind, samples, size=48, **everything(kind)), batch_size=None, sampler=shuffled,
                        num_workers=workers)
    for key, item in zip(shuffled, loader, strict=True):
        assert same(item, expected[key]), key


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_reaches_processes_that_are_not_forked(make_data, samples, kind):
    if kind == "classification":
        samples = [Sample(sample.path, sample.name, sample.labels[:1] or ("dark",)) for sample in samples]
    data = make_data(kind, samples, size=48, **everything(kind))
    assert same(pickle.loads(pickle.dumps(data))[1, 5], data[1, 5])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_in_evaluation(make_data, samples, kind):
    if kind == "classification":
        samples = [Sample(sample.path, sample.name, sample.labels[:1] or ("dark",)) for sample in samples]
    with_all, plain = (make_data(kind, samples, training=False, **extra) for extra in (everything(kind), {}))
    assert all(same(with_all[index], plain[index]) for index in range(4))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in everything(kind)])
def test_strips_of_a_pixel_windows_and_empty_images(make_data, tmp_path, kind, name):
    shapes = {"strip": (1, 60), "column": (60, 1), "grey": (40, 40), "rgb": (20, 30, 3)}
    samples = []
    for label, shape in shapes.items():
        values = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        Image.fromarray(values).save(tmp_path / f"{label}.png")
        samples.append(Sample(tmp_path / f"{label}.png", label, ("light",) if kind == "classification" else ()))
    windows = [(), [[40, 80]], [[40, 80], [80, 200]]] if kind == "classification" else [(), [[40, 80]]]
    for chosen in windows:
        data = make_data(kind, samples, size=32, windows=chosen, **{name: {}})
        for index in range(len(samples)):
            inputs = tensors(data[index, 5])[0]
            assert inputs.shape[0] == (len(chosen) if len(chosen) > 1 else 3)
            assert inputs.isfinite().all() and inputs.min() >= 0
            assert inputs.max() <= (1 if kind == "classification" else 255)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "network"), [
    ("classification", "shufflenet_v2_x0_5"), ("detection", "rtmdet_ins_tiny"), ("segmentation", "fastscnn")])
def test_a_run_with_everything_on_resumes_bit_for_bit(tmp_path, task, network):
    run = [*SMALL, "dataset.limit=40", f"task={task}", f"network={network}", "hyper.epochs=3", "augment.rotate90=true",
           *(f"augment.extra.{name}.probability=0.4" for name in everything(task))]
    whole = sightsmith.train([*run, "trainer.num_workers=0", f"output_dir={tmp_path / 'whole'}"])
    assert "Augmented images" in whole.report.read_text()
    halves = [*run, f"output_dir={tmp_path / 'halves'}"]
    paused = [*halves, "trainer.num_workers=2", "trainer.pause_after_epoch=1"]
    plugins = load_plugins()
    assert start(compose(paused, plugins), paused, plugins) is None
    resumed = sightsmith.train([*halves, "trainer.num_workers=1", "trainer.resume=true"])
    assert whole.metrics == resumed.metrics
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
