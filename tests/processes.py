"""Runs in processes of their own, killed and gone on with."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from safetensors.torch import load_file

CHECKPOINT = "checkpoints/last/state.safetensors"
"""What a run folder has once an epoch is under way, with ``trainer.checkpoint_minutes=0.001``."""


def start(folder, *overrides):
    """``sightsmith train`` with its runs in ``folder``, in a session of its own: its ranks can be killed with it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sightsmith", "train", f"output_dir={folder}", *overrides],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def finish(process):
    """Exit code and output."""
    try:
        output, _ = process.communicate(timeout=240)
    finally:
        kill(process)
    return process.returncode, output


def succeed(process):
    code, output = finish(process)
    assert code == 0, output[-4000:]
    return output


def kill(process):
    """With the ranks that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(process, condition):
    """Until ``condition()``; the deadline only guards against a hang."""
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def killed_when(process, condition):
    """Kill ``process`` as soon as ``condition()``."""
    try:
        wait_for(process, condition)
    finally:
        kill(process)


def whole_and_cut(folder, *overrides, written):
    """Two folders of the same run: one undisturbed, one killed once ``written`` is in the run's folder."""
    whole, cut = folder / "whole", folder / "cut"
    succeed(start(whole, *overrides))
    killed_when(start(cut, *overrides), lambda: list(cut.glob(f"*/{written}")))
    return whole, cut


def run_folder(folder):
    [run] = folder.iterdir()
    return run


def figures(run):
    """Those of each epoch, but for how long it took."""
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"}
            for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same(first, second):
    """The runs in two folders came to the same, bit for bit."""
    assert_same_run(run_folder(first), run_folder(second))


def assert_same_run(first, second):
    one, two = (load_file(run / "model" / "model.safetensors") for run in (first, second))
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)
    assert figures(first) == figures(second)
