"""Too little memory in the trial, in training, validation, evaluation and prediction of real networks."""

from __future__ import annotations

import json
import resource

import numpy as np
import pytest
import torch
from command_line import within
from PIL import Image
from small_runs import LABELS
from torch import nn

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.inference import Predictor
from sightsmith.engine.pipeline.start import start
from sightsmith.engine.runs.resources import ResourceError, small_address_space
from sightsmith.engine.training import benchmark_cache, host_memory
from sightsmith.engine.training.host_memory import available_memory, largest_micro_batch
from sightsmith.plugins.classification.model import Classifier

RUN = [*LABELS[:4], "dataset.limit=60", "image.size=32", "trainer.precision=fp32", "hyper.epochs=1",
       "trainer.memory_format=contiguous", "logger=[]", "trainer.devices=1", "hyper.batch_size=16"]


def run(folder, *more):
    overrides, plugins = [*RUN, f"output_dir={folder}", *more], load_plugins()
    return start(compose(overrides, plugins), overrides, plugins)


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path, monkeypatch):
    """Of what other tests have measured: each run has its own trial."""
    monkeypatch.setattr(benchmark_cache, "cache_dir", lambda: tmp_path.parent / f"{tmp_path.name}-cache")


@pytest.fixture
def at_most(monkeypatch):
    """Let forward passes fail that are in ``mode`` and of more than ``images`` images; returns the sizes of all."""
    forward = Classifier.forward

    def limit(images, *modes, first=0):
        sizes = []

        def limited(self, inputs, data_samples=None, mode="tensor"):
            if mode in modes:
                sizes.append(len(inputs))
                if len(sizes) > first and len(inputs) > images:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")
            return forward(self, inputs, data_samples, mode)

        monkeypatch.setattr(Classifier, "forward", limited)
        return sizes

    return limit


def test_the_trial_finds_what_fits_and_the_plan_says_it(tmp_path, at_most, capsys):
    at_most(4, "loss")
    result = run(tmp_path)
    plan, lock, status = (json.loads((result.run_dir / name).read_text())
                          for name in ("plan.json", "lock.json", "status.json"))
    assert (plan["batch_size"], plan["micro_batch"]) == (16, 4)
    assert plan["micro_batch_reason"] == "8 do not fit in memory"
    assert plan["steps_per_epoch"] == 4  # of 16 images still
    assert lock["micro_batch"] == 4
    assert status["status"] == "finished"
    assert not any("out of memory" in warning for warning in status["warnings"])
    output = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "of 16 images, 4 at once (8 do not fit in memory)" in output


def test_training_goes_on_with_less_and_status_and_report_say_so(tmp_path, at_most, capsys):
    at_most(8, "loss", first=6)  # after the trial
    result = run(tmp_path)
    status = json.loads((result.run_dir / "status.json").read_text())
    warning = status["warnings"][0]
    assert warning.startswith("out of memory in optimizer step 2 of epoch 1: from here on 8 instead of 16 images")
    assert capsys.readouterr().out.count(warning) == 1
    assert warning in (result.run_dir / "report" / "index.html").read_text()


def test_evaluation_and_prediction_go_on_with_the_images_that_remain(digits, tmp_path, at_most, caplog):
    for number in range(40):
        values = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / f"{number:02}.png")
    images = sorted(tmp_path.glob("*.png"))
    samples = [Sample(path, path.name, (digits.classes[0],)) for path in images]
    expected = list(digits.predict(images))
    predictor = Predictor(digits.task, (digits.model,))
    results = predictor.evaluate(samples)
    sizes = at_most(5, "predict")
    for one, other in zip(expected, digits.predict(images), strict=True):
        assert other.path == one.path
        assert other.scores == pytest.approx(one.scores, abs=1e-5)
    again = predictor.evaluate(samples)
    assert sizes == 2 * [32, 16, 8, *[4] * 10]
    assert [item["index"] for item in again] == list(range(40))
    assert [item["loss"] for item in again] == pytest.approx([item["loss"] for item in results], abs=1e-5)
    assert [record.message for record in caplog.records] == 2 * [
        f"out of memory: going on with {size} images per forward pass" for size in (16, 8, 4)]
    at_most(0, "predict")
    with pytest.raises(ResourceError, match="not enough memory for a single image"):
        list(digits.predict(images))


def test_a_single_image_too_many_is_one_sentence_before_the_run(tmp_path, at_most):
    at_most(0, "loss", first=1)  # after the estimate
    with pytest.raises(ResourceError, match="not enough memory for a single image with the network shufflenet"):
        run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_little_memory_is_not_an_image_that_is_too_small(tmp_path, at_most):
    at_most(0, "tensor")  # in which a network is tried with one image
    with pytest.raises(ResourceError, match="There is not enough memory: CUDA out of memory"):
        run(tmp_path)


def test_a_low_limit_of_the_address_space_is_said_before_the_libraries_are_loaded(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (3_100_000 * 1024, resource.RLIM_INFINITY))
    code, output, errors = within("list", "recipes")
    assert code == 0 and "published" in output
    assert "`ulimit -v` leaves 3.0 GiB of address space" in errors and "raise `ulimit -v`" in errors
    for enough in (2**34, resource.RLIM_INFINITY):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, enough=enough: (enough, resource.RLIM_INFINITY))
        assert not small_address_space()


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1024))
        self.register_buffer("seen", torch.zeros(1))

    def data_preprocessor(self, batch, training):
        return batch

    def forward(self, inputs, mode):
        self.seen += len(inputs)
        return {"loss": (self.weight * inputs).exp().sum()}

    def parse_losses(self, losses):
        return losses["loss"], losses


def test_the_micro_batch_follows_from_what_a_forward_pass_keeps(monkeypatch):
    model, batch = Layers().train(), {"inputs": torch.randn(2, 1024)}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    # Kept for each image: the input of the product and the output of exp, 4 KiB each.
    each, fixed = 1.5 * 8192, 3 * 4096
    for images, expected in ((64, 64), (63, 32), (16, 16), (1, 1), (0, 1)):
        monkeypatch.setattr(host_memory, "available_memory", lambda images=images: (
            int(fixed + each * images) + 100 * (images > 0), "a test"))
        found, reason = largest_micro_batch(model, batch, 2, 64, 1)
        assert found == expected
        assert bool(reason) == (expected < 64)
    assert reason.endswith("0.0 GiB left by a test")
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    monkeypatch.setattr(host_memory, "available_memory", lambda: (int(2 * fixed + each * 16) + 100, "a test"))
    assert largest_micro_batch(model, batch, 2, 64, 2)[0] == 16  # both ranks together


def test_what_limits_memory_is_named(tmp_path, monkeypatch):
    free = type("Free", (), {"available": 9_000_000_000})
    monkeypatch.setattr(host_memory.psutil, "virtual_memory", lambda: free)
    monkeypatch.setattr(host_memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert available_memory() == (9_000_000_000, "other programs")
    for name, value in (("max", "3000000000"), ("current", "2500000000"), ("stat", "anon 5\ninactive_file 500000000")):
        (tmp_path / f"memory.{name}").write_text(value + "\n")  # version 2
        (tmp_path / "memory").mkdir(exist_ok=True)
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("3000000000\n")  # version 1
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("2500000000\n")
    (tmp_path / "memory" / "memory.stat").write_text("total_inactive_file 500000000\n")
    assert available_memory() == (1_000_000_000, "the limit of the control group")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1, resource.RLIM_INFINITY))
    assert available_memory()[0] < 0 and available_memory()[1] == "ulimit -v"
