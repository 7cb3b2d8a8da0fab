"""Real processes, killed and started again: the end is the same, bit for bit."""

from __future__ import annotations

import json
import os
import signal

import pytest
from command_line import refused, within
from processes import (
    CHECKPOINT,
    Written,
    assert_same,
    finish,
    killed_from_outside,
    killed_when,
    run_folder,
    start,
    succeed,
    wait_for,
    whole_and_cut,
)

TRAIN = ["task=classification", "dataset.root=sample", "network=mobilenet_v3_small", "network.weights=none",
         "recipe=platform", "image.size=32", "hyper.epochs=4", "hyper.batch_size=16", "hyper.ema_decay=0.9",
         "hyper.optimizer=adamw", "trainer.precision=fp32", "trainer.memory_format=channels_last", "dataset.limit=100",
         "trainer.checkpoint_minutes=0.001", "logger=[]"]


OBJECTS = ["recipe=platform", "dataset.root=sample", "network.weights=none", "image.size=64", "hyper.epochs=2",
           "hyper.batch_size=4", "hyper.optimizer=adamw", "trainer.precision=fp32",
           "trainer.memory_format=channels_last", "dataset.limit=24", "dataset.validation_percentage=25",
           "trainer.checkpoint_minutes=0.001", "logger=[]", "augment.horizontal_flip=true", "augment.rotation=10"]


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path, devices):
    train = [*TRAIN, f"trainer.devices={devices}"]
    # Ranks are new processes, into which no kill is injected.
    kill = killed_when if devices == 1 else killed_from_outside
    # Once at the first checkpoint within an epoch, ...
    whole, cut = whole_and_cut(tmp_path, *train, written=CHECKPOINT, kill=kill)
    # ... and once after two epochs.
    kill(Written(cut, "*/metrics.jsonl", lines=2), *train, "trainer.resume=true")
    code, output, _ = within("list", "runs", "--json", "--output-dir", cut)
    assert code == 0
    assert json.loads(output)[0]["status"] == "stopped"
    succeed(start(cut, *train, "trainer.resume=true"))
    assert_same(whole, cut)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "network"), [("detection", "rtmdet_tiny"), ("segmentation", "fastscnn")])
def test_a_killed_run_of_objects_ends_as_an_undisturbed_one(tmp_path, task, network):
    train = [f"task={task}", f"network={network}", *OBJECTS]
    whole, cut = whole_and_cut(tmp_path, *train, written=CHECKPOINT)
    succeed(start(cut, *train, "trainer.resume=true"))
    assert_same(whole, cut)


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_stops_with_the_command_that_goes_on(tmp_path, devices):
    process = start(tmp_path / "runs", *TRAIN, "hyper.epochs=200", "hyper.early_stop=false",
                    f"trainer.devices={devices}")
    try:
        wait_for(process, lambda: list((tmp_path / "runs").glob("*/metrics.jsonl")))
        os.killpg(process.pid, signal.SIGINT)
        code, output = finish(process)
    finally:
        process.kill()
    run = run_folder(tmp_path / "runs")
    assert code == 130, output
    assert "Traceback" not in output
    assert f"trainer.resume={run}" in output.replace("\n", "")
    assert json.loads((run / "status.json").read_text())["status"] == "stopped"
    assert (run / "checkpoints" / "last" / "state.safetensors").is_file()


@pytest.mark.slow
def test_a_resumed_run_must_be_the_same(tmp_path):
    process = start(tmp_path / "runs", *TRAIN, "hyper.epochs=200", "hyper.early_stop=false")
    try:
        wait_for(process, lambda: list((tmp_path / "runs").glob("*/metrics.jsonl")))
        os.killpg(process.pid, signal.SIGTERM)
        code, output = finish(process)
    finally:
        process.kill()
    assert code == 130, output
    output = refused("train", f"output_dir={tmp_path / 'runs'}", *TRAIN, "trainer.resume=true",
                     "hyper.learning_rate=0.5", "dataset.validation_percentage=40")
    assert "hyper.learning_rate was 0.001 and is now 0.5" in output
    assert "the split into training and validation changed" in output
