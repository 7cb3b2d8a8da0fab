"""What takes its time is announced, and nothing else."""

from __future__ import annotations

from threading import Event

import pytest

from sightsmith.core.util import announced as module
from sightsmith.core.util.announced import announced


def test_a_long_block_is_announced_while_it_lasts(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    told, lines = Event(), []

    def report(line):
        lines.append(line)
        told.set()

    with announced("Checking ...", report):
        assert told.wait(10)
    assert lines == ["Checking ..."]


def test_a_short_one_is_not_nor_one_that_fails(capsys):
    with announced("Checking ..."):
        pass
    with pytest.raises(ZeroDivisionError), announced("Checking ..."):
        raise ZeroDivisionError
    assert capsys.readouterr().out == ""
