"""A disk that fills up while a run writes: one sentence, nothing half-written, and the run can be resumed."""

from __future__ import annotations

import errno
import json
import os

import pytest
from command_line import within
from processes import figures
from small_runs import LABELS

from sightsmith.engine.runs.checkpoint import load_tree
from sightsmith.engine.runs.run_dir import RunDir, read_status

RUN = [*LABELS[:4], "dataset.limit=40", "image.size=32", "trainer.precision=fp32", "hyper.epochs=3",
       "trainer.memory_format=contiguous", "logger=[]", "trainer.devices=1"]


@pytest.fixture
def disk(monkeypatch):
    """Every atomic write fails, from the moment when ``full()`` is true of the path that is written."""
    class Disk:
        full = staticmethod(lambda path: False)

    fsync, state = os.fsync, Disk()

    def no_space(number):
        path = os.readlink(f"/proc/self/fd/{number}")
        if state.full(path):
            state.full = lambda path: True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr("sightsmith.core.util.files.os.fsync", no_space)
    return state


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["state.safetensors", "metrics.jsonl", "index.html"])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(tmp_path, disk, kind):
    seen = []

    def full(path):
        seen.append(path)
        return kind in path and sum(kind in place for place in seen) == (1 if kind == "index.html" else 2)

    disk.full = full
    code, output, errors = within("train", *RUN, f"output_dir={tmp_path}")
    assert code == 1
    [folder] = tmp_path.iterdir()
    assert errors.startswith("The disk is full: [Errno 28] No space left on device\nMake room, then resume the run:\n  "
                             "sightsmith train ")
    assert errors.endswith(f"trainer.resume={folder}\n")
    assert "Traceback" not in output + errors
    assert not [path for path in folder.rglob(".*") if path.is_file()], "left behind"
    run = RunDir(folder)
    assert load_tree(run.last)["state"]["epoch"] == (3 if kind == "index.html" else 1)
    assert json.loads(run.status.read_text())["status"] == "running"  # could not be written
    disk.full = lambda path: False
    run.status.write_text(json.dumps(json.loads(run.status.read_text()) | {"pid": 2**22 + 1}))  # its process is gone
    assert read_status(run)["status"] == "stopped"
    code, output, errors = within("train", *RUN, f"output_dir={tmp_path}", f"trainer.resume={folder}")
    assert code == 0, errors
    assert [entry["epoch"] for entry in figures(folder)] == [1, 2, 3]
    assert read_status(run)["status"] == "finished"


def test_a_full_disk_before_the_run_is_a_sentence_too(tmp_path, disk):
    disk.full = lambda path: True
    code, output, errors = within("train", *RUN, f"output_dir={tmp_path}")
    assert code == 1
    assert errors == "The disk is full: [Errno 28] No space left on device\nMake room.\n"


def test_the_log_file_is_silent_on_a_full_disk(tmp_path, capsys):
    import logging

    from sightsmith.engine.pipeline.train import _LogFile

    handler = _LogFile("/dev/full")
    handler.handle(logging.LogRecord("sightsmith", logging.INFO, "", 0, "a message", (), None))
    handler.close()
    assert capsys.readouterr() == ("", "")
