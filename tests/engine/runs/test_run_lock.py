"""One process at a time trains in a run folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from command_line import within
from processes import command
from small_runs import LABELS

from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.run_dir import RunDir, read_status
from sightsmith.engine.runs.run_lock import hold

HOLDER = """
import sys
from pathlib import Path
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.runs.run_lock import hold
with hold(RunDir(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder():
    """``holder(folder)``: a process that trains there, as far as the lock is concerned."""
    started = []

    def start(folder):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_process_is_told_who_is_there(tmp_path, holder):
    process = holder(tmp_path)
    with pytest.raises(UserError) as caught, hold(RunDir(tmp_path)):
        pass
    assert f"process {process.pid} on {socket.gethostname()} since 20" in caught.value.text()
    assert json.loads((tmp_path / "in_use.lock").read_text())["pid"] == process.pid


def test_the_lock_ends_with_the_process(tmp_path, holder):
    for end in ("kill", "communicate"):
        process = holder(tmp_path)
        getattr(process, end)()
        process.wait()
        with hold(RunDir(tmp_path)):
            assert json.loads((tmp_path / "in_use.lock").read_text())["pid"] == os.getpid()
        assert (tmp_path / "in_use.lock").read_text() == ""


def test_workers_do_not_keep_the_lock(tmp_path, holder):
    with hold(RunDir(tmp_path)):
        worker = os.fork()
        if worker == 0:
            signal.pause()
    try:
        holder(tmp_path)
    finally:
        os.kill(worker, 9)
        os.waitpid(worker, 0)


def test_what_a_killed_process_left_behind_is_removed(tmp_path):
    kept = [tmp_path / name for name in ("checkpoints/last/state.safetensors", ".hidden", ".state.safetensors.UPPERCAS",
                                         "evaluations/new/.metrics.json.a1b2c3d4",
                                         "notes.a1b2c3d4")]
    left = [tmp_path / name for name in ("checkpoints/last/.state.safetensors.a1b2c3d4", ".status.json.__abc123",
                                         "folds/1-2/checkpoints/best/.model.safetensors.00000000")]
    for path in (*kept, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with hold(RunDir(tmp_path)):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to(path.name)])
def test_what_is_no_lock(tmp_path, make):
    make(tmp_path / "in_use.lock")
    with pytest.raises(UserError, match="in_use.lock cannot be opened"), hold(RunDir(tmp_path)):
        pass


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_cannot_be_resumed_twice_at_once(tmp_path, holder, devices):
    train = [*LABELS, "dataset.limit=40", f"output_dir={tmp_path}", f"trainer.devices={devices}"]
    run_it = within if devices == 1 else command
    code, _, errors = run_it("train", *train, "trainer.pause_after_epoch=1")
    assert code == 0, errors
    [run] = tmp_path.iterdir()
    process = holder(run)
    code, _, errors = run_it("train", *train, "trainer.resume=true")
    assert code == 2
    assert f"The run {run} is still running: process {process.pid}" in errors
    assert read_status(RunDir(run))["paused"]
