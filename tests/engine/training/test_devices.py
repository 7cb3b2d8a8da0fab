"""Runs side by side take different devices, and share one only when asked."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from sightsmith.engine.training import devices
from sightsmith.engine.training.devices import locked


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "POLL", 0.01)


def test_no_two_have_one():
    with locked(["a", "b", "c"], 1, 1) as first, locked(["a", "b", "c"], 2, 1) as second:
        assert (first, second) == ([0], [1, 2])
    with locked(["a", "b"], 1, 1) as again:
        assert again == [0]


def test_devices_are_shared_once_all_are_taken():
    with locked(["a", "b"], 1, 2) as first, locked(["a", "b"], 1, 2) as second, locked(["a", "b"], 1, 2) as third:
        assert (first, second, third) == ([0], [1], [0])


def test_a_run_waits_for_a_free_one():
    got = []

    def second():
        with locked(["a"], 1, 1) as places:
            got.append(places)

    with locked(["a"], 1, 1):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.1)
        assert got == []
    waiting.join(30)
    assert got == [[0]]


def test_a_killed_process_leaves_its_device(tmp_path):
    script = ("import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
              "from sightsmith.engine.training.devices import locked\n"
              "with locked(['a'], 1, 1): print('has it', flush=True); sys.stdin.read()")
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "has it\n"
    with pytest.raises(devices.Timeout), devices.FileLock(next(tmp_path.glob("*/a-0.lock")), timeout=0):
        pass
    process.kill()
    process.communicate()
    with locked(["a"], 1, 1) as places:
        assert places == [0]


def test_a_claim_is_seen_by_this_process_and_those_it_starts(monkeypatch):
    chosen = []
    monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(devices.torch.cuda, "get_device_properties",
                        lambda place: type("Properties", (), {"uuid": f"gpu-{place}"}))
    monkeypatch.setattr(devices.torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv(devices.VISIBLE, "4,5,7")
    with locked(["gpu-0"], 1, 1), devices.claimed(2, 1):
        assert devices.os.environ[devices.VISIBLE] == "5,7"
    assert chosen == [1]
    assert devices.os.environ[devices.VISIBLE] == "4,5,7"
    monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: 1)
    with devices.claimed(1, 1):
        assert devices.os.environ[devices.VISIBLE] == "4,5,7"
