"""Every broken data set gets its message and exit code 2; none a traceback, and nothing is written beside it."""

from __future__ import annotations

import pytest
from broken_datasets import BROKEN

from sightsmith.core.cli import main


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_data_set_is_answered(name, tmp_path, capsys, monkeypatch):
    make, expected = BROKEN[name]
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
