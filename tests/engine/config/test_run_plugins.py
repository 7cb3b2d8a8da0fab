"""A run whose plugin is missing says which package to install, whatever is asked of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import refused, within
from shared_runs import copied

from sightsmith.core.plugins.manager import OWN_DISTRIBUTION, Broken, Provider
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.run_plugins import ensure_plugins


@pytest.fixture
def foreign(digits, tmp_path, monkeypatch):
    """A run of a task and a network of a package that is not here."""
    run = copied(digits, tmp_path).run_dir
    for name in ("model/model.json", "lock.json", "config.yaml"):
        text = (run / name).read_text().replace("shufflenet_v2_x0_5", "posenet")
        (run / name).write_text(text.replace('"name": "classification"', '"name": "poses"')
                                .replace('"task": "classification"', '"task": "poses"')
                                .replace("name: classification", "name: poses"))
    lock = json.loads((run / "lock.json").read_text())
    for entry in lock["plugins"].values():
        entry |= {"distribution": "sightsmith-poses", "version": "0.3"}
    (run / "lock.json").write_text(json.dumps(lock))
    monkeypatch.chdir(tmp_path)
    return run


def test_a_run_keeps_the_packages_of_its_task_and_network(digits, plugins):
    entries = json.loads((digits.run_dir / "lock.json").read_text())["plugins"]
    assert {kind: entry["name"] for kind, entry in entries.items()} == {"task": "classification",
                                                                        "network": "shufflenet_v2_x0_5"}
    assert {entry["distribution"] for entry in entries.values()} == {OWN_DISTRIBUTION}
    ensure_plugins(digits.run_dir, plugins)


@pytest.mark.parametrize("arguments", [
    ["evaluate", "run={}"], ["predict", "run={}", "input={}/report"], ["export", "run={}", "format=torchscript"],
    ["preset", "create", "run={}", "name=mine"], ["verify", "run={}", "rerun=true"],
    ["train", "base_run={}", "dataset=sample"],
    ["train", "task=poses", "network=posenet", "dataset=sample", "trainer.resume={}"],
], ids=lambda arguments: arguments[0])
def test_every_command_names_the_package(foreign, arguments):
    said = refused(*(text.format(foreign) for text in arguments))
    assert "was trained with plugins that are not installed here" in said
    assert "the task 'poses' of sightsmith-poses 0.3" in said and "the network 'posenet'" in said
    if arguments[0] != "verify":
        assert "pip install sightsmith-poses==0.3" in said


def test_such_a_run_is_still_listed(foreign):
    code, output, _ = within("list", "runs", "--output-dir", ".", "--json")
    assert code == 0 and [row["status"] for row in json.loads(output)] == ["finished"]


def test_a_package_that_is_broken_or_another_version_is_named_so(foreign, plugins, monkeypatch):
    monkeypatch.setattr(plugins, "broken", [Broken(Provider("poses", "sightsmith-poses", "0.3"), "ImportError: torch")])
    with pytest.raises(UserError, match="installed, but broken .*: ImportError: torch"):
        ensure_plugins(foreign, plugins)
    monkeypatch.setattr(plugins, "broken", [])
    monkeypatch.setattr(type(plugins), "providers", [Provider("poses", "sightsmith-poses", "0.4")])
    with pytest.raises(UserError, match="another version is installed: pip install sightsmith-poses==0.3"):
        ensure_plugins(foreign, plugins)


def test_nothing_is_said_of_an_older_or_damaged_lock_file(foreign, plugins):
    for text in ("{}", "[", '{"plugins": {"task": 3}}'):
        (foreign / "lock.json").write_text(text)
        ensure_plugins(foreign, plugins)
    ensure_plugins(Path("nowhere"), plugins)
