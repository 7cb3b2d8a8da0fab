"""What is wrong with a plugin is named with it, and is in the way of nothing else."""

from __future__ import annotations

import json
from types import ModuleType

import pytest
from command_line import within
from fake_plugins import with_plugin
from small_runs import LABELS

from sightsmith.core.contracts.augmentation import AugmentationRecord, Option
from sightsmith.core.contracts.dataset import FormatMatch
from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.record import Provider
from sightsmith.core.contracts.records import (
    CommandRecord,
    DatasetFormatRecord,
    LoggerRecord,
    PresetFolder,
    RecipeRecord,
    TaskRecord,
    TunerRecord,
)
from sightsmith.core.plugins import manager
from sightsmith.core.plugins.manager import Plugins, installed
from sightsmith.core.util.errors import PluginError, UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.find_task import with_task
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.plugins.commands.faults import faults

NAMED = "stranger (stranger-dist 1.0)"
NETWORK = {"description": "d", "builder": "stranger:make", "family": "f", "parameters": 1, "input_size": 32}


def boom(*_):
    raise RuntimeError("boom")


class Form:
    detect = boom


def make(*_):
    pass


class Plain:
    pass


FAULTY = {
    "presets that are not there": ("sightsmith_presets", lambda: [PresetFolder("stranger.presets")],
                                   "The presets 'stranger.presets'"),
    "a network without a task": ("sightsmith_networks", lambda: [NetworkRecord(name="net", task="poses", **NETWORK)],
                                 "is for the task 'poses', which no installed plugin provides"),
    "a zoo that fails": ("sightsmith_networks", lambda: [
        NetworkRecord(name="net", task="detection", zoo="stranger:boom", **NETWORK)], "zoo 'net' fails: RuntimeError"),
    "a format that fails": ("sightsmith_dataset_formats", lambda: [DatasetFormatRecord(
        name="form", description="d", builder="stranger:Form", annotations=("labels",), layout="l")],
        "detect failed at"),
    "a task that fails": ("sightsmith_tasks", lambda: [TaskRecord(
        name="poses", description="d", builder="stranger:make", score="s", annotation="boxes",
        settings="stranger:Plain")], "the settings stranger:Plain of the task 'poses' are not a subclass"),
    "a misspelt builder": ("sightsmith_networks", lambda: [NetworkRecord(
        name="net", task="detection", **{**NETWORK, "builder": "stranger:mkae"})],
        "network 'net': the builder stranger:mkae does not exist: the module 'stranger' has no 'mkae'. Did you mean "
        "'make'?"),
    "a misspelt module": ("sightsmith_recipes", lambda: [RecipeRecord(
        name="gentle", description="d", builder="sightsmith.plugins.recipe.published:published")],
        "there is no module 'sightsmith.plugins.recipe'. Did you mean 'sightsmith.plugins.recipes'"),
    "a misspelt builder of a part": ("sightsmith_commands", lambda: [CommandRecord(
        name="greet", description="d", builder="stranger:make", settings="stranger:Plian")],
        "command 'greet': the builder stranger:Plian does not exist"),
    "a builder that lacks a package": ("sightsmith_tuners", lambda: [TunerRecord(
        name="guess", description="d", builder="lacking_a_package:Guess")],
        "the builder lacking_a_package:Guess of 'guess' fails: ModuleNotFoundError: No module named 'numpi'"),
}


@pytest.fixture(params=FAULTY)
def faulty(request, monkeypatch, tmp_path):
    hook, records, says = FAULTY[request.param]
    plugins = with_plugin(monkeypatch, "stranger", hook, records(), boom=boom, Form=Form, make=make, Plain=Plain)
    (tmp_path / "lacking_a_package.py").write_text("import numpi\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(manager, "load_plugins", lambda: plugins)
    monkeypatch.setattr("sightsmith.plugins.commands.diagnosis._devices", lambda: [])
    return plugins, says


def test_a_faulty_plugin_is_named_and_blocks_nothing(faulty, tmp_path, monkeypatch):
    plugins, says = faulty
    assert plugins.broken == []
    code, output, _ = within("doctor", "--json")
    bad = [item["text"] for item in json.loads(output) if not item["ok"] and NAMED in item["text"]]
    assert code == 1 and len(bad) == 1 and says in bad[0]
    _, output, _ = within("list", "plugins", "--json")
    status = {row["name"]: row["status"] for row in json.loads(output)}
    assert status["stranger"].startswith("faulty: ") and says in status["stranger"]
    assert {text for name, text in status.items() if name != "stranger"} == {"ok"}
    for kind in ("networks", "presets", "formats", "tasks"):
        assert within("list", kind, "--json")[0] == 0
    assert within("--complete", "train", "network=resnet1")[1].startswith("network=resnet101")
    config = compose(with_task(["dataset.root=sample", "task=classification"], plugins, print), plugins)
    assert check(config, plugins, print).train


@pytest.mark.parametrize(("hook", "records", "cause"), [
    ("sightsmith_networks", lambda: [NetworkRecord(name="n", task="t", **{**NETWORK, "builder": "a:b"})], None),
    ("sightsmith_loggers", lambda: [LoggerRecord(name="n", description="d", builder="a:b", needs="wandb")],
     "needs of 'n' is the text 'wandb'; it must be a tuple: ('wandb',)"),
    ("sightsmith_augmentations", lambda: [AugmentationRecord(name="n", description="d", builder="a:b",
                                                             tasks="detection")], "tasks of 'n' is the text"),
    ("sightsmith_augmentations", lambda: [AugmentationRecord(name="n", description="d", builder="a:b",
                                                             options={"x": Option((1, 2), "h")})],
     "the option 'x' of 'n' has the default (1, 2)"),
])
@pytest.mark.parametrize("marked", [True, False])
def test_a_plugin_that_registers_wrongly_is_broken(hook, records, cause, marked):
    module = ModuleType("stranger")
    setattr(module, hook, manager.hookspecs.hookimpl(lambda: records()) if marked else lambda: records())
    plugins = Plugins([*installed(), (Provider("stranger", "stranger-dist", "1.0"), lambda: module)])
    expected = cause if marked else f"{hook} is not marked with @hookimpl"
    assert [(str(item.provider), expected in item.cause) for item in plugins.broken] == (
        [(NAMED, True)] if expected else [])
    assert "classification" in plugins.tasks


def test_a_package_that_the_record_says_how_to_install_is_no_fault(monkeypatch, tmp_path):
    (tmp_path / "lacking_another.py").write_text("import numpi\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = with_plugin(monkeypatch, "stranger", "sightsmith_loggers", [
        LoggerRecord(name="n", description="d", builder="lacking_another:Logger", install="pip install numpi")])
    assert not [*faults(found)]


@pytest.mark.parametrize(("hook", "record", "overrides"), [
    ("sightsmith_networks",
     NetworkRecord(name="mine", task="classification", **{**NETWORK, "builder": "stranger:mkae"}),
     ["network=mine"]),
    ("sightsmith_recipes", RecipeRecord(name="mine", description="d", builder="stranger:mkae"), ["recipe=mine"]),
    ("sightsmith_loggers", LoggerRecord(name="mine", description="d", builder="stranger:mkae"), ["logger=[mine]"]),
    ("sightsmith_augmentations", AugmentationRecord(name="mine", description="d", builder="stranger:mkae"),
     ["augment.extra.mine.probability=1"]),
    ("sightsmith_tuners", TunerRecord(name="mine", description="d", builder="stranger:mkae", trials=8,
                                      space={"hyper.weight_decay": "0.1,0.2"}), ["tuner=mine"]),
    ("sightsmith_dataset_formats", DatasetFormatRecord(name="mine", description="d", builder="stranger:mkae",
                                                       annotations=("labels",), layout="l"), ["dataset.format=mine"]),
])
def test_a_training_with_a_misspelt_builder_ends_in_one_sentence(monkeypatch, tmp_path, hook, record, overrides):
    found = with_plugin(monkeypatch, "stranger", hook, [record], make=make)
    monkeypatch.setattr(manager, "load_plugins", lambda: found)
    code, _, said = within("train", *LABELS, "dataset.folds=none", f"output_dir={tmp_path / 'run'}", *overrides)
    assert code == 1 and "Traceback" not in said, said
    kind = hook.removeprefix("sightsmith_").removesuffix("s").replace("_", " ")
    assert (f"plugin {NAMED}: {kind} 'mine': the builder stranger:mkae does not exist: the module 'stranger' has no "
            "'mkae'. Did you mean 'make'?") in said


def form(name, match):
    record = DatasetFormatRecord(name=name, description="d", builder=f"stranger:{name}", annotations=("labels",),
                                 layout="l")
    return record, type(name, (), {"detect": match, "read": boom})


def test_a_format_that_fails_is_told_where_another_reads_the_data(monkeypatch, plugins, tmp_path):
    record, made = form("failing", boom)
    found = with_plugin(monkeypatch, "stranger", "sightsmith_dataset_formats", [record], failing=made)
    config = compose(["task=classification", "dataset.root=sample"], plugins)
    [warning] = [item for item in check(config, found, print).problems if "failing" in item.message]
    assert warning.severity == "warning" and NAMED in warning.message and "RuntimeError: boom" in warning.message
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.xyz").touch()
    nothing = compose(["task=classification", f"dataset.root={tmp_path}"], plugins)
    with pytest.raises(PluginError, match="detect failed"):  # perhaps it would have been the one
        check(nothing, found, print)


def test_a_format_that_is_sure_and_fails_is_an_error(monkeypatch, plugins):
    record, made = form("failing", lambda self, root: FormatMatch(2.0, "mine"))
    found = with_plugin(monkeypatch, "stranger", "sightsmith_dataset_formats", [record], failing=made)
    with pytest.raises(PluginError, match="read failed"):
        check(compose(["task=classification", "dataset.root=sample"], plugins), found, print)


def test_a_network_without_its_task_says_what_is_missing(monkeypatch):
    found = with_plugin(monkeypatch, "stranger", "sightsmith_networks", [NetworkRecord(name="net", task="poses",
                                                                                      **NETWORK)])
    with pytest.raises(UserError, match=r"'net' of stranger .* is for the task 'poses', which no installed plugin"):
        compose(["task=classification", "network=net", "dataset.root=x"], found)
