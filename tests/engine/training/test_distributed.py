"""The processes of a run on several devices."""

from __future__ import annotations

import os
import tempfile

import pytest

from sightsmith.engine.training import distributed as ranks


def rank():
    return os.environ["RANK"]


@pytest.mark.slow
def test_nothing_is_left_of_the_launcher(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert ranks.launch(2, rank) == "0"
    assert not list(tmp_path.iterdir())
