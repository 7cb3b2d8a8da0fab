"""The trial before a run: it measures, chooses, and leaves the model as it was."""

from __future__ import annotations

import pytest
import torch
from tiny import TinyModel, tiny_config, tiny_trainer

from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.compute_mode import ComputeMode
from sightsmith.engine.training.benchmark import (
    FORMATS,
    STEPS,
    Measurement,
    benchmark,
    candidates,
    choose_mode,
    choose_workers,
    estimate_seconds,
    load,
    used_memory,
)

CPU = torch.device("cpu")
MODES = [ComputeMode("fp32"), ComputeMode("bf16")]


def test_it_measures_and_puts_the_model_back(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config())
    model = TinyModel()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    passes = [part for update in trainer.sampler.start(0) for part in update.micro_batches]
    batches, seconds = load(trainer.task, trainer.train_loader.dataset, passes)
    assert len(batches) == min(STEPS, len(passes))
    assert seconds > 0
    found = benchmark(model, trainer.task.backbone(model), batches, trainer.hyper, MODES, CPU)
    assert list(found) == MODES
    assert used_memory(CPU) > 2**20
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_hopeless_precision_is_given_up_after_one_step(tmp_path, monkeypatch):
    trainer = tiny_trainer(tmp_path, tiny_config())
    passes = [part for update in trainer.sampler.start(0) for part in update.micro_batches]
    clock = iter(range(1000))
    # Each look at the clock is a second later; a step in bf16 takes ten looks.
    monkeypatch.setattr("sightsmith.engine.training.benchmark.time.perf_counter", lambda: float(next(clock)))

    class Emulated(TinyModel):
        steps: list[bool] = []

        def forward(self, *arguments, **keys):
            slow = torch.is_autocast_enabled("cpu")
            self.steps.append(slow)
            for _ in range(10 if slow else 0):
                next(clock)
            return super().forward(*arguments, **keys)

    batches, _ = load(trainer.task, trainer.train_loader.dataset, passes)
    found = benchmark(Emulated(), (), batches, trainer.hyper, MODES, CPU)
    assert Emulated.steps == [False] * 4 + [True]
    assert choose_mode(found) == ComputeMode("fp32")
    assert found == dict(zip(MODES, (1.0, 11.0), strict=True))


@pytest.mark.parametrize(("seconds", "steps"), [(4, [3, 3]), (11, [1, 1]), (31, [1])])
def test_slow_steps_are_measured_for_so_long(tmp_path, monkeypatch, seconds, steps):
    trainer = tiny_trainer(tmp_path, tiny_config())
    batches, _ = load(trainer.task, trainer.train_loader.dataset,
                      [part for update in trainer.sampler.start(0) for part in update.micro_batches])
    clock = iter(range(0, 10000, seconds))
    monkeypatch.setattr("sightsmith.engine.training.benchmark.time.perf_counter", lambda: float(next(clock)))
    ran = []

    class Slow(TinyModel):
        def forward(self, *arguments, **keys):
            ran.append(torch.is_autocast_enabled("cpu"))
            return super().forward(*arguments, **keys)

    assert set(benchmark(Slow(), (), batches, trainer.hyper, MODES, CPU).values()) == {seconds}
    assert [ran.count(lower) for lower in sorted(set(ran))] == steps


def test_candidates(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": False}, raising=False)
    assert candidates("auto", "contiguous", CPU) == tuple(MODES)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    assert candidates("auto", "auto", CPU) == (ComputeMode("fp32"), ComputeMode("fp32", "channels_last"))
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert candidates("auto", "contiguous", CPU) == tuple(MODES)
    assert candidates("bf16", "channels_last", CPU) == (ComputeMode("bf16", "channels_last"),)
    with pytest.raises(UserError, match=r"trainer\.precision=bf16"):
        candidates("fp16", "auto", CPU)


@pytest.mark.parametrize(("seconds", "chosen"), [
    ((1.0, 0.97, 0.9, 0.9), 0), ((1.0, 0.9, 0.92, 0.91), 1), ((1.0, 0.9, 0.6, 0.5), 3), ((1.0, 0.9, 0.89, 0.88), 1),
])
def test_another_mode_must_be_worth_it(seconds, chosen):
    modes = [ComputeMode(precision, memory_format) for precision in ("fp32", "bf16") for memory_format in FORMATS]
    assert choose_mode(dict(zip(modes, seconds, strict=True))) == modes[chosen]


def test_the_estimate_counts_training_validation_and_loading():
    keys = {"micro_batch_seconds": 3.0, "load_seconds": 1.0, "batch_images": 10, "train_images": 100,
            "validation_images": 20, "epochs": 2}
    assert estimate_seconds(workers=0, **keys) == pytest.approx(2 * (10 * 4 + 2 * 2))
    assert estimate_seconds(workers=4, **keys) == pytest.approx(2 * (10 * 3 + 2 * 1))


@pytest.mark.parametrize(("device", "cores", "world", "load", "batches", "workers"), [
    ("cpu", 4, 1, 0.1, 1000, 1), ("cpu", 4, 1, 0.9, 1000, 2), ("cpu", 8, 1, 0.9, 1000, 4),
    ("cpu", 2, 1, 0.9, 1000, 0),  # the threads of the network have both
    ("cpu", 4, 2, 0.9, 1000, 0),
    ("cpu", 4, 1, 0.02, 1000, 0), ("cuda", 4, 1, 0.02, 1000, 1),  # a GPU's steps and loading may always overlap
    ("cpu", 4, 1, 0.1, 99, 0), ("cuda", 4, 1, 0.1, 99, 0), ("cuda", 64, 1, 9.0, 99, 8), ("cuda", 64, 16, 9.0, 99, 4),
])
def test_workers_are_as_many_as_keep_up_on_spare_cores(monkeypatch, device, cores, world, load, batches, workers):
    monkeypatch.setattr("sightsmith.engine.training.benchmark.MOST_WORKERS", 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    mode = ComputeMode("fp32")
    assert choose_workers(Measurement(mode, {mode: 0.5}, load, 0), batches, torch.device(device), world) == workers
