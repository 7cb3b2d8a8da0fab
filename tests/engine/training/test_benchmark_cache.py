"""Measurements are kept in the cache, for the same network, input, machine and versions alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_runs import LABELS

from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline import planning
from sightsmith.engine.pipeline.start import plan
from sightsmith.engine.runs.compute_mode import ComputeMode
from sightsmith.engine.training import benchmark_cache
from sightsmith.engine.training.benchmark_cache import recall_speed, remember_speed, speed_key

CPU = torch.device("cpu")
SECONDS = {ComputeMode("fp32"): 0.5, ComputeMode("fp32", "channels_last"): 0.25}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_cache, "cache_dir", lambda: tmp_path / "cache")


def test_what_was_measured_is_remembered():
    assert recall_speed("abc") is None
    remember_speed("abc", SECONDS, 2**30)
    found = recall_speed("abc")
    assert found.seconds == SECONDS
    assert found.memory == 2**30
    assert recall_speed("abd") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"day": "2026-01-01", "memory": 1, "seconds": {"fp32 x y": 1}}',
                                     '{"day": "2026-01-01", "memory": 1, "seconds": {"fp32": "soon"}}',
                                     '{"day": "2026-01-01", "memory": 1, "seconds": {"fp32": NaN}}',
                                     '{"day": "2026-01-01", "memory": 1, "seconds": {"fp32": -1}}',
                                     '{"day": "2026-01-01", "memory": 1, "seconds": {"fp32": [1]}}'])
def test_a_damaged_file_is_no_measurement(tmp_path, content):
    remember_speed("abc", SECONDS, 2**30)
    (tmp_path / "cache" / "benchmarks" / "abc.json").write_text(content)
    assert recall_speed("abc") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "cache").write_text("a file")
    remember_speed("abc", SECONDS, 2**30)
    assert recall_speed("abc") is None


def test_what_a_step_depends_on(plugins, monkeypatch):
    config = compose(LABELS, plugins)

    def key(**changes):
        arguments = {"config": config, "classes": 10, "micro_batch": 8, "device": CPU, "ranks": 1} | changes
        return speed_key(**arguments)

    keys = [key(), key(classes=11), key(micro_batch=4), key(ranks=2)]
    keys += [key(config=compose([*LABELS, change], plugins)) for change in
             ("network=resnet18", "image.size=48", "hyper.optimizer=adamw", "hyper.backbone_lr_scale=0")]
    monkeypatch.setattr(benchmark_cache.importlib.metadata, "version", lambda name: "0.0")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == key(config=compose([*LABELS, "hyper.epochs=7", "trainer.seed=3"], plugins))
    assert key() == key(config=replace(config, network=replace(config.network, weights="published")))


def test_the_next_run_like_it_measures_nothing(plugins, tmp_path, monkeypatch, capsys):
    measured = []
    real = planning.benchmark
    monkeypatch.setattr(planning, "benchmark", lambda *arguments: measured.append(arguments[4]) or real(*arguments))
    run = [*LABELS, f"output_dir={tmp_path}", "trainer.memory_format=auto"]
    first, again = (plan(compose(run, plugins), run, plugins) for _ in range(2))
    assert len(measured) == 1
    assert first.mode_reason.startswith("measured: fp32 contiguous ")
    assert again.mode_reason.startswith("measured on 20")
    assert again.mode_reason.partition(": ")[2] == first.mode_reason.partition(": ")[2]
    assert (again.precision, again.memory_format) == (first.precision, first.memory_format)

    typed = [*run[:-1], "trainer.memory_format=channels_last"]  # was among those measured
    assert plan(compose(typed, plugins), typed, plugins).mode_reason.startswith("as set on 20")
    larger = [*run, "image.size=40"]
    plan(compose(larger, plugins), larger, plugins)
    assert len(measured) == 2
