"""The register of an asynchronous search: a number for each run, whoever asks, and what was lost with a machine."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.run_dir import RunDir, read_status
from sightsmith.engine.search import asynchronous
from sightsmith.engine.search.asynchronous import Register, earlier_trials
from sightsmith.engine.search.search_space import Parameter
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.tuner import Suggestion

PLAN = SweepPlan(("task=classification",), (Parameter("hyper.momentum", (), 0.5, 0.9),))


def suggestion(value: float, epochs: int | None = 2, parent: int | None = None) -> Suggestion:
    return Suggestion({"hyper.momentum": value}, epochs, parent)


def test_the_same_member_and_proposal_are_the_same_run(tmp_path: Path) -> None:
    register = Register(tmp_path)
    assert [register.number(member, suggestion(value)) for member, value in ((0, 0.5), (1, 0.5), (0, 0.6))] == [0, 1, 2]
    assert Register(tmp_path).number(1, suggestion(0.5)) == 1
    assert register.number(0, suggestion(0.5, None, 0)) == 3
    runs = register.trials(PLAN)
    assert [(member, run.number, run.suggestion) for member, run in runs] == [
        (0, 0, suggestion(0.5)), (1, 1, suggestion(0.5)), (0, 2, suggestion(0.6)), (0, 3, suggestion(0.5, None, 0))]
    assert runs[3][1].overrides == ("task=classification", "hyper.momentum=0.5",
                                    f"trainer.branch_from='{tmp_path / '0'}'")
    assert not [path for path in (tmp_path / "asked").iterdir() if path.name.startswith(".")]


def test_many_that_ask_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda member: Register(tmp_path).number(member, suggestion(0.5)), range(64)))
    assert sorted(found) == list(range(64))


def test_failures_are_told_until_the_run_is_tried_again(tmp_path: Path) -> None:
    register = Register(tmp_path)
    for member in (0, 1):
        register.number(member, suggestion(0.5))
    register.fail(0, UserError("too small", hint="take a larger one"))
    register.fail(1, MemoryError("no room"))
    failures = register.failures()
    assert isinstance(failures[0], UserError) and "take a larger one" in str(failures[0])
    assert not isinstance(failures[1], UserError) and "MemoryError: no room" in str(failures[1])
    assert [item.done for item in earlier_trials(register, PLAN)] == [False, False]
    assert register.number(0, suggestion(0.5)) == 0
    assert list(register.failures()) == [1]


def test_a_run_whose_machine_was_lost_reads_stopped(tmp_path: Path, monkeypatch) -> None:
    run = RunDir(tmp_path)
    run.status.write_text(json.dumps({"status": "running", "host": "another", "pid": 1}))
    asynchronous._reclaim(run)
    assert read_status(run)["status"] == "stopped"
    assert read_status(run)["message"] == "its machine was lost"
    monkeypatch.setattr(asynchronous, "PATIENCE", 0.0)
    own = {"status": "running", "host": socket.gethostname(), "pid": os.getpid(),
           "process_started": psutil.Process().create_time()}
    run.status.write_text(json.dumps(own))
    asynchronous._reclaim(run)  # one that lives is left alone
    assert read_status(run)["status"] == "running"
