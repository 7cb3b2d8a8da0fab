"""Plugins: built-ins come in by the front door, a broken one is named and does not take down the rest."""

from __future__ import annotations

from types import ModuleType

import pytest

from sightsmith.core.contracts.records import Finding, LoggerRecord, NetworkRecord
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import Plugins, Provider, installed, load_plugins
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


def test_lifecycle_hooks_reach_the_plugin():
    seen = []
    module = ModuleType("m")

    @hookimpl
    def sightsmith_after_epoch(epoch, metrics):
        seen.append((epoch, metrics))

    module.sightsmith_after_epoch = sightsmith_after_epoch
    plugins = Plugins([(Provider("m", "m", "1"), lambda: module)])
    plugins.after_epoch(run_dir=None, epoch=3, metrics={"loss": 1.0})
    assert seen == [(3, {"loss": 1.0})]


def test_plugins_are_asked_for_diagnostics_one_by_one():
    fine = Finding("codec", "version 2", ok=False, advice="pip install codec")
    plugins = Plugins([plugin("bad", sightsmith_diagnostics=RuntimeError("boom")),
                       plugin("good", sightsmith_diagnostics=[fine])])
    broken, found = plugins.diagnostics()
    assert found == fine
    assert not broken.ok
    assert broken.text == "bad-dist:bad cannot be looked at: RuntimeError: boom"


@pytest.mark.parametrize(("name", "builder"), [("Bad Name", "a:b"), ("ok", "no_colon"), ("", "a:b"), ("ok", "a:b.c")])
def test_records_refuse_bad_names(name, builder):
    with pytest.raises(ValueError, match="must"):
        LoggerRecord(name=name, description="", builder=builder)


def test_foreign_plugins_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_DISABLE_PLUGINS", "1")
    assert {provider.distribution for provider, _ in installed()} == {"sightsmith"}
