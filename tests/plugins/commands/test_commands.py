"""Verbs as plugins: a stranger's is listed, completed and run; the keys of each are declared."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pytest
from command_line import refused
from fake_plugins import with_plugin

import sightsmith.usage
from sightsmith.cli import main
from sightsmith.completion import completions
from sightsmith.core.contracts.records import CommandRecord
from sightsmith.core.plugins import manager
from sightsmith.core.util.errors import UserError
from sightsmith.plugins.commands.settings import declared, flag, key, parse, word
from sightsmith.plugins.commands.tables import print_rows

COMMANDS = manager.load_plugins().commands


@dataclass(frozen=True)
class Greeting:
    """Greet somebody."""

    whom: str = key("whom to greet", metavar="NAME")
    loud: bool = flag("shout")


def greet(arguments, plugins):
    options = parse(Greeting, arguments, plugins.commands["greet"])
    text = f"Hello, {options.whom}, by {plugins.provider('commands', 'greet')}"
    print(text.upper() if options.loud else text)
    return 3


@pytest.fixture
def greeting(monkeypatch, tmp_path):
    """``greeting(name="greet")``: a plugin with this verb is installed."""
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path))

    def install(name="greet"):
        record = CommandRecord(name=name, description="say hello", usage="whom=NAME", example="whom=Ada",
                               builder="stranger:greet", settings="stranger:Greeting")
        plugins = with_plugin(monkeypatch, "stranger", "sightsmith_commands", [record], greet=greet, Greeting=Greeting)
        monkeypatch.setattr(manager, "load_plugins", lambda: plugins)
        return plugins
    return install


def ended(*arguments):
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code


def test_a_strangers_verb_is_listed_and_run(greeting, capsys):
    greeting()
    assert ended("--help") == 0
    assert "  sightsmith greet      whom=NAME" in capsys.readouterr().out
    assert ended("list", "commands", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["greet"] == {"name": "greet", "description": "say hello", "usage": "whom=NAME",
                             "provider": "stranger (stranger-dist 1.0)"}
    assert rows["train"]["provider"].startswith("commands (sightsmith ")
    assert ended("greet", "whom=Ada", "--loud") == 3
    assert capsys.readouterr().out == "HELLO, ADA, BY STRANGER (STRANGER-DIST 1.0)\n"
    assert ended("greet", "--help") == 0
    assert "example: sightsmith greet whom=Ada" in capsys.readouterr().out
    assert ended("greet") == 2
    assert "whom=NAME is required" in capsys.readouterr().err
    assert ended("gret") == 2
    assert "unknown command 'gret'. Did you mean 'greet'" in capsys.readouterr().err


def test_a_verb_that_is_taken_names_both_plugins(greeting):
    [broken] = greeting("train").broken
    assert str(broken.provider) == "stranger (stranger-dist 1.0)"
    assert "'train' is already registered by commands (sightsmith " in broken.cause


def test_a_strangers_verb_and_keys_are_completed(greeting):
    greeting()
    assert completions(["greet", "w"]) == ["whom="]
    assert completions(["gre"]) == ["greet"]


def test_the_help_is_made_again_when_a_plugin_comes(greeting, monkeypatch, tmp_path):
    first = sightsmith.usage.usage()
    assert json.loads((tmp_path / "help.json").read_text())["content"] == first
    greeting()
    assert sightsmith.usage.usage() == first  # kept: nothing on the disk has changed
    new = tmp_path / "site"
    new.mkdir()
    monkeypatch.syspath_prepend(str(new))
    assert "greet" in sightsmith.usage.usage()
    (tmp_path / "help.json").write_text("[damaged")
    assert "greet" in sightsmith.usage.usage()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_every_verb_declares_its_arguments(name, capsys):
    record = COMMANDS[name]
    settings = record.build_settings()
    assert settings is not None
    assert settings.__doc__
    arguments = declared(settings)
    assert len({item.name for item in arguments}) == len(arguments) == len(dataclasses.fields(settings))
    with pytest.raises(SystemExit) as end:
        parse(settings, ["--help"], record)
    assert end.value.code == 0
    text = capsys.readouterr().out
    for item in arguments:
        assert item.help
        assert item.usage in text
    assert f"example: sightsmith {name} {record.example}" in text


def test_the_defaults_are_those_of_the_functions():
    from sightsmith.engine.pipeline.evaluate import SETTINGS
    from sightsmith.engine.pipeline.export import TOLERANCE
    from sightsmith.engine.pipeline.predict_files import MIN_SCORE
    from sightsmith.engine.pipeline.serve import Limits

    said = {name: {item.name: item.default for item in declared(COMMANDS[name].build_settings())}
            for name in ("evaluate", "export", "predict", "serve")}
    assert set(SETTINGS) <= set(said["evaluate"])
    assert (said["export"]["tolerance"], said["predict"]["min_score"]) == (TOLERANCE, MIN_SCORE)
    assert dataclasses.asdict(Limits()).items() <= said["serve"].items()


@dataclass(frozen=True)
class Everything:
    """All kinds of arguments."""

    kind: str = word("which", choices=("cats", "dogs"))
    count: int = key("how many", low=1, high=9, elsewhere=("amount",))
    part: float | None = key("how much", None, name="some.part", low=0, high=1)
    sure: bool = key("whether", False)
    json: bool = flag("as JSON")


RECORD = CommandRecord(name="all", description="d", builder="json:loads")


def test_arguments_are_typed():
    assert parse(Everything, ["--json", "count=3", "cats", "some.part=0.5", "sure=true"], RECORD) == Everything(
        "cats", 3, 0.5, True, True)
    assert parse(Everything, ["dogs", "count=9"], RECORD) == Everything("dogs", 9, None, False, False)


def test_all_mistakes_are_said_at_once():
    with pytest.raises(UserError) as raised:
        parse(Everything, ["cat", "count=ten", "some.part=nan", "sure=yes", "son=1", "more"], RECORD)
    said = [problem.message for problem in raised.value.problems]
    assert said == ["cat is not one of cats, dogs. Did you mean 'cats'?", "count=ten is not a whole number from 1 to 9",
                    "some.part=nan is not a number from 0 to 1", "sure=yes is neither true nor false",
                    "unknown key 'son'.", "'more' is not KEY=VALUE"]
    with pytest.raises(UserError) as raised:
        parse(Everything, ["count="], RECORD)
    assert [problem.message for problem in raised.value.problems] == ["count= has an empty value", "KIND is required"]
    assert raised.value.problems[-1].hint == "which (cats, dogs)"
    with pytest.raises(UserError, match="^sightsmith all: unknown key 'amount'. Here it is called 'count'."):
        parse(Everything, ["cats", "count=1", "amount=2"], RECORD)
    with pytest.raises(UserError, match="^sightsmith all: unknown key 'kount'. Did you mean 'count'?"):
        parse(Everything, ["cats", "count=1", "kount=2"], RECORD)


def test_runs_are_listed_with_their_score_as_everywhere(capsys):
    row = {"run": "runs/a", "network": "resnet18", "status": "finished", "progress": 1.0, "metric": "accuracy",
           "score": 0.2, "created": "2026-01-02T03:04:05+00:00"}
    print_rows("runs", [row, row | {"score": None, "created": None}])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][-4:] == ["0.2000", "2026-01-02", "03:04", "UTC"] and lines[2][-1] == "accuracy"


@pytest.mark.parametrize(("arguments", "says"), [
    (["val", "run=last"], "unknown command 'val'. Type `sightsmith evaluate`"),
    (["detect", "train", "data=photos"], "unknown command 'detect'. Type `sightsmith train`"),
    (["detect", "source=photos"], "unknown command 'detect'. Type `sightsmith predict`"),
])
def test_commands_of_other_trainers_lead_on(arguments, says):
    assert says in refused(*arguments)


def test_a_key_under_another_name_is_not_missing_too():
    text = refused("predict", "model=last", "source=photos")
    assert "unknown key 'model'. Here it is called 'run'." in text and "required" not in text


@pytest.mark.parametrize(("arguments", "says"), [
    (["doctor", "--jsn"], ["unknown flag --jsn. Did you mean '--json'?"]),
    (["list", "runs", "--tsk", "detection"], ["sightsmith list: unknown flag --tsk. Did you mean '--task'?"]),
    (["predict", "--run", "last", "--source=photos", "--conf", "0.2"],
     [f"keys have no dashes: type {text}\n" for text in ("run=last", "input=photos", "min_score=0.2")]),
])
def test_unknown_flags_lead_on(arguments, says):
    text = refused(*arguments)
    assert all(part in text for part in says) and "required" not in text and "KEY=VALUE" not in text
