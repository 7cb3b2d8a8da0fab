"""Real processes, killed and started again: the end is the same, bit for bit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

TRAIN = ["task=classification", "dataset.root=sample", "network=mobilenet_v3_small", "network.weights=none",
         "image.size=32", "hyper.epochs=4", "hyper.batch_size=16", "hyper.ema=0.9", "hyper.optimizer=adamw",
         "trainer.precision=fp32", "trainer.memory_format=channels_last", "dataset.limit=100",
         "trainer.checkpoint_minutes=0.001", "logger=[]"]


OBJECTS = ["dataset.root=sample", "network.weights=none", "image.size=64", "hyper.epochs=2", "hyper.batch_size=4",
           "hyper.optimizer=adamw", "trainer.precision=fp32", "trainer.memory_format=channels_last", "dataset.limit=24",
           "dataset.validation_percentage=25",
           "trainer.checkpoint_minutes=0.001", "logger=[]", "augment.horizontal_flip=true", "augment.rotation=10"]


def start(folder, *extra, train=TRAIN):
    return subprocess.Popen([sys.executable, "-m", "sightsmith", "train", *train, f"output_dir={folder}", *extra],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def finish(process):
    try:
        output, _ = process.communicate(timeout=240)
    finally:
        kill_group(process)
    return process.returncode, output


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def wait_for(process, condition):
    """Until ``condition()``; the deadline only guards against a hang."""
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_folder(folder):
    [run] = folder.iterdir()
    return run


def figures(run):
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"}
            for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same(first, second):
    one, two = (load_file(run / "model" / "model.safetensors") for run in (first, second))
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)
    assert figures(first) == figures(second)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path, devices):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, output = finish(start(whole, f"trainer.devices={devices}"))
    assert code == 0, output
    process = start(cut, f"trainer.devices={devices}")
    try:
        # Once at the first checkpoint within an epoch, ...
        wait_for(process, lambda: list(cut.glob("*/checkpoints/last/state.safetensors")))
    finally:
        kill_group(process)
        process.wait()
    process = start(cut, f"trainer.devices={devices}", "trainer.resume=true")
    try:
        # ... and once after two epochs.
        wait_for(process, lambda: len(figures(run_folder(cut))) >= 2 if list(cut.glob("*/metrics.jsonl")) else False)
    finally:
        kill_group(process)
        process.wait()
    status = subprocess.run([sys.executable, "-m", "sightsmith", "list", "runs", "--json", "--output-dir", str(cut)],
                            capture_output=True, text=True, check=True)
    assert json.loads(status.stdout)[0]["status"] == "stopped"
    code, output = finish(start(cut, f"trainer.devices={devices}", "trainer.resume=true"))
    assert code == 0, output
    assert_same(run_folder(whole), run_folder(cut))


@pytest.mark.parametrize(("task", "network"), [("detection", "rtmdet_tiny"), ("segmentation", "fastscnn")])
def test_a_killed_run_of_objects_ends_as_an_undisturbed_one(tmp_path, task, network):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train = [f"task={task}", f"network={network}", *OBJECTS]
    code, output = finish(start(whole, train=train))
    assert code == 0, output
    process = start(cut, train=train)
    try:
        wait_for(process, lambda: list(cut.glob("*/checkpoints/last/state.safetensors")))
    finally:
        kill_group(process)
        process.wait()
    code, output = finish(start(cut, "trainer.resume=true", train=train))
    assert code == 0, output
    assert_same(run_folder(whole), run_folder(cut))


@pytest.mark.parametrize("devices", [1, 2])
def test_ctrl_c_stops_with_the_command_that_goes_on(tmp_path, devices):
    process = start(tmp_path / "runs", "hyper.epochs=200", "hyper.early_stop=false", f"trainer.devices={devices}")
    try:
        wait_for(process, lambda: list((tmp_path / "runs").glob("*/metrics.jsonl")))
        os.killpg(process.pid, signal.SIGINT)
        code, output = finish(process)
    finally:
        kill_group(process)
    run = run_folder(tmp_path / "runs")
    assert code == 130, output
    assert "Traceback" not in output
    assert f"trainer.resume={run}" in output.replace("\n", "")
    assert json.loads((run / "status.json").read_text())["status"] == "stopped"
    assert (run / "checkpoints" / "last" / "state.safetensors").is_file()


def test_a_resumed_run_must_be_the_same(tmp_path):
    process = start(tmp_path / "runs", "hyper.epochs=200", "hyper.early_stop=false")
    try:
        wait_for(process, lambda: list((tmp_path / "runs").glob("*/metrics.jsonl")))
        os.killpg(process.pid, signal.SIGTERM)
        code, output = finish(process)
    finally:
        kill_group(process)
    assert code == 130, output
    code, output = finish(start(tmp_path / "runs", "trainer.resume=true", "hyper.learning_rate=0.5",
                                "dataset.validation_percentage=40"))
    assert code == 2, output
    assert "hyper.learning_rate was 0.001 and is now 0.5" in output
    assert "the split into training and validation changed" in output
