"""Runs by name: ``last``, and what ``name=`` gave them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.model_card import card_path
from sightsmith.engine.config.run_names import find_run, shortest_name, with_run_paths
from sightsmith.engine.search.keywords import as_overrides

FIRST, SECOND, THIRD = "2026-01-31_12-00-00-elpv", "2026-02-01_12-00-00-cells", "2026-02-02_12-00-00-cells-2"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """``runs`` with finished runs, of which the first was finished last, and one that is not finished."""
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate((FIRST, SECOND, THIRD, "2026-02-03_12-00-00-sweep/0")):
        card = card_path(Path("runs") / name)
        card.parent.mkdir(parents=True)
        card.write_text("{}")
        os.utime(card, (1e9 - age, 1e9 - age))
    Path("runs/2026-03-01_12-00-00-stopped").mkdir()
    return tmp_path / "runs"


@pytest.mark.parametrize(("typed", "folder"), [
    ("last", FIRST), ("runs/last", FIRST), ("elpv", FIRST), (FIRST, FIRST), (f"runs/{FIRST}", FIRST),
    ("cells-2", THIRD), (SECOND, SECOND), ("stopped", "2026-03-01_12-00-00-stopped"),
])
def test_what_is_typed(runs, typed, folder):
    assert find_run(typed).resolve() == runs / folder


def test_the_last_one_may_be_of_a_sweep_and_elsewhere(runs):
    os.utime(card_path(runs / "2026-02-03_12-00-00-sweep" / "0"), (2e9, 2e9))
    assert find_run("last") == Path("runs/2026-02-03_12-00-00-sweep/0")
    runs.rename(runs.parent / "results")
    assert find_run(runs.parent / "results" / "last").parent.name == "2026-02-03_12-00-00-sweep"
    assert find_run("last") == Path("last")  # there is no folder of runs


def test_the_path_of_a_run_comes_first(runs):
    Path("elpv").mkdir()  # such as the data set of this name
    assert find_run("elpv").resolve() == runs / FIRST
    Path("elpv/config.yaml").touch()
    assert find_run("elpv") == Path("elpv")
    Path("other").mkdir()
    assert find_run("other") == Path("other")  # which is no run, as will be said


def test_runs_of_one_name_are_listed_with_their_status(runs):
    (runs / SECOND / "status.json").write_text('{"status": "finished", "ended": "2026-02-01T13:05:09+00:00"}')
    (runs / THIRD / "status.json").write_text('{"status": "stopped", "ended": null, "updated": "2026-02-02T12:01:00"}')
    (runs / "2026-02-03_12-00-00-cells-3").mkdir()
    (runs / "2026-02-03_12-00-00-cells-3" / "status.json").write_text("[")
    with pytest.raises(UserError) as raised:
        find_run("cells")
    assert [problem.message for problem in raised.value.problems] == [
        "2026-02-03_12-00-00-cells-3: status unknown", f"{THIRD}: stopped 2026-02-02 12:01 UTC",
        f"{SECOND}: finished 2026-02-01 13:05 UTC"]


@pytest.mark.parametrize(("typed", "says"), [
    ("cells", f"cells names 2 runs:\n  - {THIRD}: status unknown\n  - {SECOND}"), ("elvp", "Did you mean 'elpv'"),
    ("runs/elvp", "none of that name in runs"), ("lats", "Did you mean 'last'"),
])
def test_names_that_do_not_tell(runs, typed, says):
    with pytest.raises(UserError) as raised:
        find_run(typed)
    assert says in str(raised.value)


def test_a_folder_without_a_finished_run(runs):
    for name in (FIRST, SECOND, THIRD, "2026-02-03_12-00-00-sweep/0"):
        card_path(runs / name).unlink()
    with pytest.raises(UserError, match="last is not a finished run: runs has none"):
        find_run("last")


def test_what_to_type_for_a_run(runs):
    assert shortest_name(runs / FIRST) == FIRST
    assert shortest_name(runs / "2026-02-03_12-00-00-sweep" / "0") == "runs/2026-02-03_12-00-00-sweep/0"
    assert shortest_name(runs.parent.parent / "other") == str(runs.parent.parent / "other")


def test_a_folder_of_runs_that_cannot_be_read(runs, monkeypatch):
    with monkeypatch.context() as patch:
        def refuse(*_):
            raise PermissionError(13, "Permission denied")
        patch.setattr(Path, "iterdir", refuse)
        with pytest.raises(UserError, match="runs cannot be read: Permission denied"):
            find_run("last")
    assert find_run("x" * 300 + "/y") == Path("x" * 300 + "/y")  # too long for a folder


def test_an_override_keeps_the_path(runs):
    (runs / "2026-04-01_12-00-00-my run").mkdir()
    for typed in ("base_run='last'", 'base_run="last"', *as_overrides({"base_run": "last"})):
        assert with_run_paths([typed]) == [f"base_run='{runs / FIRST}'"]
    assert with_run_paths(["base_run=my run"]) == [f"base_run='{runs}/2026-04-01_12-00-00-my run'"]
    assert with_run_paths(["task=x", "base_run=last", "base_run=null", "base_run=a,b", "name=last"]) == [
        "task=x", f"base_run='{runs / FIRST}'", "base_run=null", "base_run=a,b", "name=last"]
