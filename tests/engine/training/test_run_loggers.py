"""The metric loggers of a run: what they get, and what becomes of one that fails."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from fake_plugins import with_plugin
from rich.console import Console

from sightsmith.core.contracts.logger import MetricLogger
from sightsmith.core.contracts.records import LoggerRecord
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.run_dir import FINISHED, STOPPED, RunDir, Status
from sightsmith.engine.training.loggers import RunLoggers
from sightsmith.engine.training.state import TrainState


class Recorder(MetricLogger):
    """Keeps its calls; raises in the method that its option ``fails`` names."""

    calls = []

    def _call(self, method, *arguments):
        if self.options["fails"] == method:
            raise self.options["error"]
        self.calls.append((self.options["name"], method, *arguments))

    def start(self, config, step, group):
        self._call("start", step, group)

    def log(self, step, metrics):
        self._call("log", step, dict(metrics))

    def finish(self, metrics, report):
        self._call("finish", metrics, report.name)

    def close(self, status):
        self._call("close", status)


@pytest.fixture
def loggers(tmp_path, monkeypatch):
    """``loggers(error, fails)``: those of a run, ``one``, which fails in that method, and ``two``; its status, its
    calls and what is printed."""
    def get(error=None, fails=""):
        Recorder.calls = []
        records = [LoggerRecord(name=name, description="", builder="recorders:Recorder",
                                options={"name": name, "fails": fails if name == "one" else "", "error": error})
                   for name in ("one", "two")]
        plugins = with_plugin(monkeypatch, "recorders", "sightsmith_loggers", records, Recorder=Recorder)
        printed = StringIO()
        status = Status(RunDir(tmp_path), devices=1, epochs=2)
        return RunLoggers(plugins, status, Console(file=printed)), status, Recorder.calls, printed
    return get


CONFIG = Config(logger={"one": {}, "two": {}})


def passed_through(found, status):
    with found:
        found.start(Path("run"), CONFIG, TrainState(epoch=1, step=1), 4, "search")
        found.on_step(TrainState(epoch=1, step=2), {"loss": 0.5}, 0.1)
        found.on_epoch(TrainState(epoch=2), {"loss": 0.25, "auc": None, "epoch": 2})
        status.end(FINISHED)
        found.finish({"auc": 0.75}, Path("run") / "report")


ALL = [("start", 5, "search"),
       ("log", 6, {"train/loss": 0.5, "train/learning_rate": 0.1, "epoch": 1.5}),
       ("log", 8, {"validation/loss": 0.25, "epoch": 2.0}), ("finish", {"auc": 0.75}, "report"), ("close", "finished")]


def test_they_get_steps_epochs_and_how_the_run_ended(loggers):
    found, status, calls, _ = loggers()
    passed_through(found, status)
    assert calls == [(name, *call) for call in ALL for name in ("one", "two")]


@pytest.mark.parametrize("method", ["start", "log", "finish", "close"])
def test_one_that_fails_is_a_warning_and_the_others_go_on(loggers, tmp_path, method):
    found, status, calls, printed = loggers(OSError("no space left"), method)
    passed_through(found, status)
    assert [call[1:] for call in calls if call[0] == "two"] == ALL
    warning = "the logger one failed, and logs no more of this run: OSError: no space left"
    saved = json.loads((tmp_path / "status.json").read_text())
    assert (saved["status"], saved["warnings"]) == ("finished", [warning])
    assert printed.getvalue() == f"warning: {warning}\n"
    own = [call[1] for call in calls if call[0] == "one"]
    assert own == {"start": [], "log": ["start", "close"], "finish": ["start", "log", "log", "close"],
                   "close": ["start", "log", "log", "finish"]}[method]


def test_a_mistake_in_the_settings_ends_the_run(loggers):
    found, status, _, _ = loggers(UserError("no login"), "start")
    with pytest.raises(UserError, match="no login"):
        passed_through(found, status)


def test_an_exception_of_the_run_closes_them(loggers):
    found, status, calls, _ = loggers()
    found.start(Path("run"), CONFIG, TrainState(), 4, None)

    def stopped():
        with found:
            status.end(STOPPED)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert calls[-2:] == [("one", "close", "stopped"), ("two", "close", "stopped")]
