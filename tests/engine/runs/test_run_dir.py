"""Run folders and their status."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from tiny import tiny_config

from sightsmith.core.contracts.schema import DatasetConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.resume import ensure_resumable, find_run
from sightsmith.engine.runs.run_dir import ERROR, FINISHED, RUNNING, STOPPED, RunDir, Status, read_status


def test_two_runs_of_a_second_have_two_folders(tmp_path):
    runs = {RunDir.create(tmp_path / "runs", "a name/with: signs").path.name for _ in range(3)}
    assert len(runs) == 3
    assert all("a-name-with-signs" in name for name in runs)


def test_a_status_of_this_process_is_running(tmp_path):
    run = RunDir(tmp_path)
    status = Status(run, devices=2, epochs=5)
    status.update(status=RUNNING, progress=0.5)
    assert read_status(run)["status"] == RUNNING
    assert read_status(run)["pid"] == os.getpid()
    status.end(FINISHED, score=0.5)
    found = read_status(run)
    assert (found["status"], found["score"], found["progress"]) == (FINISHED, 0.5, 0.5)
    assert found["ended"]


def test_a_status_of_a_process_that_is_gone_is_stopped(tmp_path):
    run = RunDir(tmp_path)
    Status(run, devices=1, epochs=5).update(status=RUNNING)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    status = json.loads(run.status.read_text()) | {"pid": gone.pid}
    run.status.write_text(json.dumps(status))
    assert read_status(run)["status"] == STOPPED


def test_a_damaged_status_is_an_error(tmp_path):
    run = RunDir(tmp_path)
    assert read_status(run)["status"] == ERROR
    run.status.write_text('{"status": "runn')
    assert read_status(run)["status"] == ERROR


def test_device_hours_add_up_over_continuations(tmp_path):
    run = RunDir(tmp_path)
    Status(run, devices=1, epochs=5).end(STOPPED)
    status = json.loads(run.status.read_text()) | {"device_hours": 2.0}
    run.status.write_text(json.dumps(status))
    Status(run, devices=1, epochs=5).end(FINISHED)
    assert read_status(run)["device_hours"] >= 2.0
    assert read_status(run)["created"] == status["created"]


def test_metrics_leave_out_a_line_that_a_kill_cut(tmp_path):
    run = RunDir(tmp_path)
    assert run.read_metrics() == []
    run.write_metrics(entries := [{"epoch": number, "train_loss": 0.5, "seconds": 1.0} for number in (1, 2)])
    with run.metrics.open("a") as stream:
        stream.write('{"epoch": 3, "lo')
    said = []
    assert run.read_metrics(said.append) == entries
    assert said == [f"{run.metrics} is damaged: line 3 is not the metrics of an epoch"]


@pytest.fixture
def unfinished(tmp_path):
    run = RunDir.create(tmp_path / "runs", "tiny")
    run.config.write_text(yaml.safe_dump(_plain(tiny_config())))
    Status(run, devices=1, epochs=2).end(STOPPED)
    run.lock.write_text(json.dumps({"data": "d", "split": "s", "weights": None}))
    return run


def _plain(config):
    import dataclasses

    config.dataset = DatasetConfig(root="x")
    return dataclasses.asdict(config)


def resuming(run, wanted, **keys):
    config = tiny_config(resume=wanted, **keys)
    config.dataset = DatasetConfig(root="elsewhere")
    config.output_dir = str(run.path.parent)
    return config


def test_resume_finds_the_newest_unfinished_run_of_the_name(unfinished):
    assert find_run(resuming(unfinished, "false")) is None
    assert find_run(resuming(unfinished, "True")).path == unfinished.path
    assert find_run(resuming(unfinished, str(unfinished.path))).path == unfinished.path
    other = resuming(unfinished, "true")
    other.name = "other"
    with pytest.raises(UserError, match="no run named 'other'"):
        find_run(other)


def test_a_running_run_is_not_resumed(unfinished):
    Status(unfinished, devices=1, epochs=2).update(status=RUNNING)
    with pytest.raises(UserError, match="still running"):
        find_run(resuming(unfinished, str(unfinished.path)))


def test_a_run_goes_on_only_with_the_same_settings_and_data(unfinished):
    lock = {"data": "d", "split": "s", "weights": None}
    ensure_resumable(unfinished, resuming(unfinished, "true", num_workers="2", cache=False), lock)
    with pytest.raises(UserError) as caught:
        ensure_resumable(unfinished, resuming(unfinished, "true", epochs=9, seed=4), lock | {"data": "e"})
    text = caught.value.text()
    assert "hyper.epochs was 2 and is now 9" in text
    assert "trainer.seed was 0 and is now 4" in text
    assert "the images or their labels changed" in text
