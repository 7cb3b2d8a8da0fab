"""Plugins: built-ins come in by the front door, a broken one is named and does not take down the rest."""

from __future__ import annotations

import pickle
from types import ModuleType

import pytest

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.record import Provider
from sightsmith.core.contracts.records import Finding, LoggerRecord
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import Plugins, installed, load_plugins
from sightsmith.core.util.errors import UserError


def plugin(name, **hooks):
    module = ModuleType(name)
    for hook, value in hooks.items():
        def implementation(value=value):
            if isinstance(value, Exception):
                raise value
            return value
        setattr(module, hook, hookimpl(implementation))
    return Provider(name, f"{name}-dist", "1.0"), lambda: module


def network(name):
    return NetworkRecord(name=name, description="d", builder="json:loads", task="t", family="f", parameters=1,
                         input_size=32)


def test_built_ins_are_entry_points():
    found = {provider.plugin for provider, _ in installed() if provider.distribution == "sightsmith"}
    assert {"classification", "formats", "loggers"} <= found
    plugins = load_plugins()
    assert plugins.broken == []
    assert "classification" in plugins.tasks
    assert plugins.provider("tasks", "classification").distribution == "sightsmith"


def test_records_are_collected_with_their_provider():
    plugins = Plugins([plugin("a", sightsmith_networks=[network("x")]),
                       plugin("b", sightsmith_networks=[network("y")])])
    assert sorted(plugins.networks) == ["x", "y"]
    assert str(plugins.provider("networks", "y")) == "b (b-dist 1.0)"
    assert plugins.network("x").build() is __import__("json").loads


@pytest.mark.parametrize(("broken", "cause"), [
    (plugin("bad", sightsmith_networks=[network("x")]), "'x' is already registered by good (good-dist 1.0)"),
    (plugin("bad", sightsmith_networks=[network("z"), network("z")]), "'z' is registered twice"),
    (plugin("bad", sightsmith_networks=RuntimeError("boom")), "RuntimeError: boom"),
    (plugin("bad", sightsmith_networks=["resnet"]), "returned a str, not a NetworkRecord"),
    (plugin("bad", sightsmith_netwroks=[]), "sightsmith_netwroks"),
])
def test_a_broken_plugin_is_named_and_not_used(broken, cause):
    plugins = Plugins([plugin("good", sightsmith_networks=[network("x")]), broken,
                       plugin("later", sightsmith_networks=[network("y")])])
    assert sorted(plugins.networks) == ["x", "y"]
    [found] = plugins.broken
    assert found.provider.plugin == "bad"
    assert cause in found.cause
    with pytest.raises(UserError, match="bad-dist"):
        plugins.network("nothing")


def test_a_plugin_that_cannot_be_imported_is_broken():
    def load():
        raise ImportError("no module named torch_sparse")

    plugins = Plugins([(Provider("p", "d", "1"), load)])
    assert "torch_sparse" in plugins.broken[0].cause


def test_all_of_a_broken_plugin_is_left_out():
    provider, load = plugin("bad", sightsmith_networks=[network("x")], sightsmith_loggers=[1])
    plugins = Plugins([(provider, load)])
    assert not plugins.networks
    assert not plugins.loggers


def test_unknown_names_are_answered_with_near_ones():
    plugins = Plugins([plugin("a", sightsmith_networks=[network("resnet18"), network("vit")])])
    with pytest.raises(UserError, match="Did you mean 'resnet18'"):
        plugins.network("resnet81")


def hooked(name, options=None, **hooks):
    """A plugin with these functions as its hooks, marked with the ``options`` of ``hookimpl``."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(**(options or {}))(function))
    return Provider(name, f"{name}-dist", "1.0"), lambda: module


def lifecycle(seen, error=None):
    """By name, functions that note ``seen``, and maybe raise."""
    def named(name):
        def sightsmith_after_run(run_dir, metrics):
            seen.append(name)
            if error and name == "bad":
                raise error
        return sightsmith_after_run
    return named


def test_lifecycle_hooks_reach_the_plugin():
    seen = []

    def sightsmith_after_epoch(epoch, metrics):
        seen.append((epoch, metrics))

    plugins = Plugins([hooked("m", sightsmith_after_epoch=sightsmith_after_epoch)])
    plugins.after_epoch(run_dir=None, epoch=3, metrics={"loss": 1.0})
    assert seen == [(3, {"loss": 1.0})]


def test_lifecycle_hooks_are_called_in_order_and_within_wrappers():
    seen = []

    def sightsmith_before_run(name):
        def implementation(plan, run_dir):
            seen.append(name)
        return implementation

    def wrapper(plan, run_dir):
        seen.append("enter")
        result = yield
        seen.append("leave")
        return result

    plugins = Plugins([
        hooked("late", {"trylast": True}, sightsmith_before_run=sightsmith_before_run("late")),
        hooked("a", sightsmith_before_run=sightsmith_before_run("a")),
        hooked("b", sightsmith_before_run=sightsmith_before_run("b")),
        hooked("early", {"tryfirst": True}, sightsmith_before_run=sightsmith_before_run("early")),
        hooked("around", {"wrapper": True}, sightsmith_before_run=wrapper)])
    plugins.before_run(plan=None, run_dir=None)
    assert seen == ["enter", "early", "a", "b", "late", "leave"]


def test_a_plugin_that_fails_after_the_run_is_a_warning_and_keeps_no_other_from_it(caplog):
    seen = []
    named = lifecycle(seen, RuntimeError("no space"))
    plugins = Plugins([hooked("bad", sightsmith_after_run=named("bad")),
                       hooked("good", sightsmith_after_run=named("good"))])
    assert plugins.after_run(None, {}) == ["bad (bad-dist 1.0) failed in sightsmith_after_run: RuntimeError: no space"]
    assert seen == ["bad", "good"]
    assert "Traceback" in caplog.text


def test_a_wrapper_of_after_run_is_called_where_nobody_implements_it():
    seen = []

    def wrapper(run_dir, metrics):
        seen.append(metrics)
        return (yield)

    assert Plugins([hooked("w", {"wrapper": True}, sightsmith_after_run=wrapper)]).after_run(None, {"loss": 1}) == []
    assert seen == [{"loss": 1}]


def test_registration_hooks_are_called_in_order():
    plugins = Plugins([hooked("late", {"trylast": True}, sightsmith_networks=lambda: [network("z")]),
                       hooked("a", sightsmith_networks=lambda: [network("x")]),
                       hooked("early", {"tryfirst": True}, sightsmith_networks=lambda: [network("y")])])
    assert list(plugins.networks) == ["y", "x", "z"]
    assert plugins.providers[0].plugin == "late"


def test_a_plugin_that_is_called_first_takes_no_name_of_one_before_it():
    plugins = Plugins([hooked("first", sightsmith_networks=lambda: [network("x")]),
                       hooked("greedy", {"tryfirst": True}, sightsmith_networks=lambda: [network("x")])])
    assert plugins.provider("networks", "x").plugin == "first"
    assert [item.provider.plugin for item in plugins.broken] == ["greedy"]


@pytest.mark.parametrize("style", ["wrapper", "hookwrapper"])
def test_wrappers_of_registration_hooks_take_effect(style):
    def only_small(results):
        return [[record for record in records if record.name != "huge"] for records in results]

    def wrapper():
        return only_small((yield))

    def hookwrapper():
        outcome = yield
        outcome.force_result(only_small(outcome.get_result()))

    plugins = Plugins([hooked("a", sightsmith_networks=lambda: [network("x"), network("huge")]),
                       hooked("b", sightsmith_networks=lambda: [network("y")]),
                       hooked("small", {style: True}, sightsmith_networks=locals()[style])])
    assert {name: str(record.provider) for name, record in plugins.networks.items()} == {
        "x": "a (a-dist 1.0)", "y": "b (b-dist 1.0)"}


def test_a_broken_wrapper_is_named_and_what_it_wraps_is_used():
    def wrapper():
        yield
        raise RuntimeError("boom")

    plugins = Plugins([plugin("a", sightsmith_networks=[network("x")]), plugin("bad", sightsmith_networks=[1]),
                       hooked("w", {"wrapper": True}, sightsmith_networks=wrapper)])
    assert list(plugins.networks) == ["x"]
    assert sorted(item.provider.plugin for item in plugins.broken) == ["bad", "w"]


def test_plugins_are_loaded_again_where_they_are_unpickled():
    plugins = pickle.loads(pickle.dumps(Plugins([])))
    assert plugins.networks == load_plugins().networks


def test_plugins_are_asked_for_diagnostics_one_by_one():
    fine = Finding("codec", "version 2", ok=False, advice="pip install codec")
    plugins = Plugins([plugin("bad", sightsmith_diagnostics=RuntimeError("boom")),
                       plugin("good", sightsmith_diagnostics=[fine])])
    broken, found = plugins.diagnostics()
    assert found == fine
    assert not broken.ok
    assert broken.text == "bad (bad-dist 1.0) failed in sightsmith_diagnostics: RuntimeError: boom"


@pytest.mark.parametrize(("name", "builder"), [("Bad Name", "a:b"), ("ok", "no_colon"), ("", "a:b"), ("ok", "a:b.c")])
def test_records_refuse_bad_names(name, builder):
    with pytest.raises(ValueError, match="must"):
        LoggerRecord(name=name, description="", builder=builder)


def test_foreign_plugins_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_DISABLE_PLUGINS", "1")
    assert {provider.distribution for provider, _ in installed()} == {"sightsmith"}
