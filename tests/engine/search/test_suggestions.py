"""A tuner that breaks its contract is named, before a trial trains for nothing."""

from __future__ import annotations

import pytest
from command_line import within
from fake_plugins import with_plugin

from sightsmith.core.contracts.records import TunerRecord
from sightsmith.core.plugins import manager
from sightsmith.core.util.errors import PluginError
from sightsmith.engine.search.search_space import Parameter
from sightsmith.engine.search.suggestions import ensure_valid
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.tuner import Suggestion, Tuner

SPACE = (Parameter("hyper.optimizer", ("sgd", "adamw")), Parameter("hyper.momentum", (), 0.5, 0.9),
         Parameter("hyper.epochs", (), 2, 9, whole=True))
GOOD = {"hyper.optimizer": "sgd", "hyper.momentum": 0.7, "hyper.epochs": 3}
RECORD = TunerRecord(name="guess", description="d", builder="guessing:Guess", space={"hyper.momentum": "0.5,0.9"})


def test_what_fits_is_handed_on():
    good = [Suggestion(GOOD, 3, 0), Suggestion({**GOOD, "hyper.momentum": 0.9})]
    assert ensure_valid(good, SPACE, RECORD) is good
    assert ensure_valid((), SPACE, RECORD) == ()


@pytest.mark.parametrize(("suggested", "says"), [
    ([Suggestion({**GOOD, "hyper.momentum": "0.7"})], "hyper.momentum='0.7' (str); expected is a number from 0.5 to 0"),
    ([Suggestion({**GOOD, "hyper.momentum": True})], "hyper.momentum=True (bool); expected is a number"),
    ([Suggestion({**GOOD, "hyper.momentum": 0.91})], "hyper.momentum=0.91 (float)"),
    ([Suggestion({**GOOD, "hyper.epochs": 2.5})], "hyper.epochs=2.5 (float); expected is a whole number from 2 to 9"),
    ([Suggestion({**GOOD, "hyper.optimizer": 1})], "hyper.optimizer=1 (int); expected is one of sgd, adamw"),
    ([Suggestion({"hyper.optimizer": "sgd", "hyper.epochs": 3})], "hyper.momentum is missing"),
    ([Suggestion({**GOOD, "image.size": 3})], "image.size is not searched"),
    ([Suggestion(GOOD, epochs="3")], "Suggestion.epochs='3' (str); expected is None or a whole number from 1"),
    ([GOOD], "expected is a Suggestion"),
    (None, "None (NoneType); expected is a sequence of Suggestion"),
])
def test_what_does_not_fit_is_named_with_the_tuner(suggested, says):
    with pytest.raises(PluginError) as raised:
        ensure_valid(suggested, SPACE, RECORD)
    assert "the tuner 'guess' suggests what cannot be tried" in str(raised.value)
    assert says in str(raised.value)


PLAN = SweepPlan(("task=classification", "dataset.root=nowhere"), (Parameter("hyper.momentum", ("0.5", "0.9")),), 3)


class Guess(Tuner):
    def ask(self):
        return [Suggestion({"hyper.momentum": 0.7})]


def test_the_command_says_so_before_it_trains(tmp_path, monkeypatch):
    plugins = with_plugin(monkeypatch, "guessing", "sightsmith_tuners", [RECORD], Guess=Guess)
    monkeypatch.setattr(manager, "load_plugins", lambda: plugins)
    monkeypatch.setattr("sightsmith.engine.pipeline.start.plan", None)  # neither data nor benchmark
    monkeypatch.setattr("sightsmith.engine.search.sweep.read_plan", lambda folder: PLAN)
    code, output, errors = within("train", "task=classification", "dataset.root=nowhere", "tuner=guess",
                                  f"output_dir={tmp_path / 'runs'}")
    assert code == 1, errors
    assert "plugin guessing (guessing-dist 1.0): the tuner 'guess'" in errors
    assert "hyper.momentum=0.7 (float); expected is one of 0.5, 0.9" in errors
    assert not (tmp_path / "runs").exists()
