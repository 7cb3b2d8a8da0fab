"""What was decoded from files is kept while memory allows."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sightsmith.engine.data import cache
from sightsmith.engine.data.cache import FileCache


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}" for number in range(4)]
    for path in paths:
        path.write_text("a")
    return paths


def decoded(kept, paths):
    """Which of ``paths`` are decoded when all are asked for."""
    found = []
    for path in paths:
        assert kept.get(path, lambda path=path: found.append(path) or str(path)) == str(path)
    return found


def test_a_file_is_decoded_once_and_again_when_it_has_changed(files):
    kept: FileCache[str] = FileCache()
    assert decoded(kept, files) == files and decoded(kept, files) == []
    os.utime(files[1], (1, 1))
    assert decoded(kept, files) == [files[1]]


def test_without_memory_the_last_one_stays(files, monkeypatch):
    monkeypatch.setattr(cache, "_memory_left", lambda: False)
    kept: FileCache[str] = FileCache()
    assert decoded(kept, [files[0], files[0], files[1], files[1], files[0]]) == [files[0], files[1], files[0]]
    assert len(kept._cached) == 1


def test_files_that_are_gone_are_forgotten(files):
    kept: FileCache[str] = FileCache()
    decoded(kept, files)
    for path in files[:3]:
        path.unlink()
    decoded(kept, files[3:])
    assert [key[0] for key in kept._cached] == files[3:]


def test_threads_that_want_the_same_file_wait_for_the_first(files):
    kept: FileCache[str] = FileCache()
    started, calls = threading.Barrier(4), []

    def ask(_):
        started.wait(10)
        return kept.get(files[0], lambda: calls.append(1) or "x")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["x"] * 4
    assert len(calls) == 1
