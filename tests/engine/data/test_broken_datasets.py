"""Every broken data set gets its message and exit code 2; none a traceback, and nothing is written beside it."""

from __future__ import annotations

import pytest
from broken_datasets import BROKEN
from broken_object_datasets import BROKEN as BROKEN_OBJECTS

from sightsmith.cli import main

ALL = {name: ("labels", *given) for name, given in BROKEN.items()} | BROKEN_OBJECTS


@pytest.mark.parametrize("name", ALL)
def test_a_broken_data_set_is_answered(name, tmp_path, capsys, monkeypatch, learns):
    annotation, make, expected = ALL[name]
    learns(annotation)
    root = tmp_path / "set"
    overrides = make(root)
    before = sorted(path for path in tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["inspect", "task=classification", *overrides])
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert end.value.code == 2, text
    assert "Traceback" not in text
    for fragment in expected:
        assert fragment in text
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 40
    assert len(BROKEN_OBJECTS) >= 30
    assert len(ALL) == len(BROKEN) + len(BROKEN_OBJECTS)
