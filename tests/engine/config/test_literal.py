"""Paths, names and descriptions are taken as typed, whatever their characters mean to Hydra, OmegaConf and YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from odd_names import NAMES
from omegaconf import OmegaConf

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import typed_path
from sightsmith.core.util.reading import parse_yaml, to_yaml
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.literal import as_typed, unquoted

TASK = ["task=classification"]
KEYS = ["dataset.root", "name", "description", "output_dir", "network.weights", "dataset.group_by", "base_run",
        "logger.wandb.project"]


def meant(overrides, plugins, **keys):
    """The value that the last of ``overrides`` gets in the configuration."""
    override = OverridesParser.create().parse_override(as_typed(overrides, plugins, **keys)[-1])
    return "a sweep" if override.is_sweep_override() else OmegaConf.create({"key": override.value()}).key


@pytest.mark.parametrize("key", KEYS)
def test_names_are_what_was_typed(plugins, key):
    none = {"null": None} if key == "base_run" else {}
    assert {name: meant([f"{key}={name}"], plugins) for name in NAMES} == {name: name for name in NAMES} | none


def test_names_come_through_the_configuration(plugins):
    for name in ("${HOME}", "a\\${b", " 1.50", "[a] (1), b=#c", "~ab"):
        config = compose([*TASK, f"dataset.root={name}", f"++description={name}", f"name={name}"], plugins)
        assert (config.dataset.root, config.description, config.name) == (name, name, name)
        assert parse_yaml(to_yaml([name])) == [name]


def test_what_needs_no_quotes_gets_none(plugins):
    typed = ["dataset.root=/data/a b", "output_dir=runs-1", "name=a.b", "hyper.epochs=3", "~logger", "description="]
    assert as_typed(typed, plugins) == typed


@pytest.mark.parametrize("text", ["'a (1)'", '"a (1)"'])
def test_quotes_around_the_whole_value_are_hydras_unless_the_name_has_them(plugins, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert meant([f"dataset.root={text}"], plugins) == "a (1)"
    assert unquoted(text) == "a (1)"
    (tmp_path / text).mkdir()
    assert meant([f"dataset.root={text}"], plugins) == text
    assert unquoted(text) == text


def test_null_is_none_where_a_key_may_be_none(plugins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert meant(["trainer.branch_from=null"], plugins) is None
    assert meant(["dataset.root=null"], plugins) == meant(["name=null"], plugins) == "null"
    (tmp_path / "null").mkdir()
    assert meant(["trainer.branch_from=null"], plugins) == "null"


@pytest.mark.parametrize(("overrides", "keys"), [
    ([], {"multirun": True}), (["hydra.mode=MULTIRUN"], {}), (["tuner=random"], {})])
def test_values_are_swept_in_a_search_unless_a_folder_has_this_name(plugins, overrides, keys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert meant([*overrides, "dataset.root=a,b"], plugins, **keys) == "a sweep"
    assert meant([*overrides, "dataset.root=a (1)"], plugins, **keys) == "a (1)"
    (tmp_path / "a,b").mkdir()
    assert meant([*overrides, "dataset.root=a,b"], plugins, **keys) == "a,b"
    assert meant(["dataset.root=c,d"], plugins) == "c,d"


def test_other_keys_keep_hydras_grammar(plugins):
    assert as_typed(["network=resnet18,resnet50", "image.mean=[0, 0.5, 1]"], plugins) == [
        "network=resnet18,resnet50", "image.mean=[0, 0.5, 1]"]
    with pytest.raises(UserError, match="cannot be parsed"):
        compose([*TASK, "dataset.root=a,b", "hyper.epochs=[3"], plugins)


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert typed_path("~/x") == tmp_path / "x"
    assert typed_path("~") == tmp_path
    assert typed_path("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
    (tmp_path / "~root").mkdir()
    assert typed_path("~root/x") == Path("/root/x")
    assert typed_path("~root") == Path("~root")
