"""What a run was made from, changed part by part and found; and trained again to the same weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import yaml
from broken_datasets import folders
from changed_runs import (
    change_bundle,
    change_config,
    change_image,
    change_label,
    change_seed,
    change_weights,
    edit,
    edit_one_weight,
    states,
    texts,
    verify,
)
from processes import command
from safetensors.torch import save_file
from torchvision.models import get_model

import sightsmith
from sightsmith.core.contracts.record import Provider
from sightsmith.core.contracts.schema import PresetConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.model_card import restore_config
from sightsmith.engine.config.presets import Preset
from sightsmith.engine.pipeline.start import start
from sightsmith.engine.pipeline.verify import CHANGED, SAME, UNKNOWN, train_again
from sightsmith.engine.runs import lockfile as lock_module
from sightsmith.engine.runs import published as published_module
from sightsmith.engine.runs.checkpoint import load_tree, save_tree

TRAIN = ["task=classification", "network=mobilenet_v3_small", "recipe=platform", "image.size=32", "hyper.epochs=1",
         "hyper.batch_size=8", "hyper.optimizer=adamw", "dataset.validation_percentage=25", "logger=[]"]
PRESET = Preset("cats", "classification", "mobilenet_v3_small",
                PresetConfig("cats", title="Cats and dogs", annotation="single-label", classes=["cat", "dog"]),
                Provider("tests", "sightsmith", "0"), {"network": {"weights": "none"}, "image": {"size": 32}})


def train(folder: Path, *overrides: str) -> Path:
    return sightsmith.train([*TRAIN, f"dataset.root={folder / 'set'}", f"output_dir={folder / 'runs'}",
                             *overrides]).run_dir


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A folder with a data set, starting weights and a run of both; beside it, a copy to put back."""
    folder = tmp_path_factory.mktemp("verify") / "place"
    folders(folder / "set", (("cat", 12), ("dog", 12)))
    torch.manual_seed(0)
    save_file(get_model("mobilenet_v3_small", weights=None, num_classes=2).state_dict(), folder / "start.safetensors")
    train(folder, f"network.weights={folder / 'start.safetensors'}")
    shutil.copytree(folder, folder.parent / "copy")
    return folder


@pytest.fixture
def place(original):
    yield original
    shutil.rmtree(original)
    shutil.copytree(original.parent / "copy", original)


@pytest.fixture
def run(place):
    [run] = (place / "runs").iterdir()
    return run


def test_an_unchanged_run_is_the_same(run, capsys):
    assert states(run) == dict.fromkeys(
        ("data", "split", "weights", "config", "preset", "packages", "python", "platform", "bundle"), SAME)
    code, output = verify(capsys, f"run={run}")
    assert code == 0 and output.endswith(f"\n{run.name}: all 9 parts are as the lock file has them\n"), output
    code, output = verify(capsys, f"run={run}", "--json")
    assert code == 0
    assert {item["state"] for item in json.loads(output)["checks"]} == {SAME}


@pytest.mark.parametrize(("change", "parts"), [
    (change_image, {"data"}), (change_label, {"data", "split"}), (change_config, {"config"}),
    (change_seed, {"config", "split"}), (change_bundle, {"bundle"}), (change_weights, {"weights"}),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_change_is_found_and_named(place, run, capsys, change, parts):
    change(place, run)
    assert {part for part, state in states(run).items() if state == CHANGED} == parts
    code, output = verify(capsys, f"run={run}")
    assert code == 1
    for part in parts:
        [line] = [line for line in output.splitlines() if line.startswith(f"{part} ")]
        assert CHANGED in line
    assert f"of 9 parts, {9 - len(parts)} are as the lock file has them, {len(parts)} ha" in output.splitlines()[-1]


def test_packages_python_and_platform(run, monkeypatch):
    now = lock_module._version
    monkeypatch.setattr(lock_module, "_version", lambda name: "9.9" if name == "torch" else now(name))
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    monkeypatch.setattr("platform.platform", lambda: "elsewhere")
    was = json.loads((run / "lock.json").read_text())
    assert texts(run, CHANGED) == {
        "packages": f"torch was {was['packages']['torch']} and is 9.9",
        "python": f"was {was['python']} and is 3.99.0", "platform": f"was {was['platform']} and is elsewhere"}


def test_what_is_gone_cannot_be_checked(place, run, capsys):
    shutil.rmtree(place / "set")
    (place / "start.safetensors").unlink()
    (run / "model" / "model.safetensors").unlink()
    unknown = texts(run, UNKNOWN)
    assert unknown.keys() == {"data", "split", "weights", "bundle"}
    assert "there is no such folder" in unknown["data"]
    assert "not on this machine" in unknown["weights"]
    code, output = verify(capsys, f"run={run}")
    assert code == 1 and output.endswith("5 are as the lock file has them, 4 cannot be checked (data, split, weights, "
                                         "bundle)\n")


@pytest.mark.parametrize("text", ["hyper: [", "a: 1", "- a", "", "name: 2026-01-01"])
def test_a_damaged_configuration_is_no_trace(run, text, plugins):
    (run / "config.yaml").write_text(text)
    found = states(run)
    assert found["config"] != SAME
    assert {found[part] for part in ("data", "split", "weights", "preset")} == {UNKNOWN}
    with pytest.raises(UserError, match="config.yaml is damaged"):
        train_again(run, [], plugins)


def test_a_configuration_looks_nothing_up(run, plugins):
    edit(run / "config.yaml", "\ndescription: ''", "\ndescription: ${oc.env:HOME}")  # a text, which may be anything
    assert texts(run, CHANGED).keys() == {"config"}
    config = restore_config(yaml.safe_load((run / "config.yaml").read_text()), run, plugins.tasks)
    assert config.description == "${oc.env:HOME}"
    edit(run / "config.yaml", "optimizer: adamw", "optimizer: ${oc.env:HOME}")
    assert "interpolation" in texts(run, UNKNOWN)["data"]


def test_a_damaged_bundle_is_no_trace(run):
    path = run / "model" / "model.safetensors"
    for tree in ({"model": 3}, [], {"model": {"a": "b"}}):
        save_tree(path, tree)
        assert states(run)["bundle"] == UNKNOWN
    path.write_bytes(b"nothing")
    assert states(run)["bundle"] == UNKNOWN


def test_published_weights_are_found_without_a_download(place, run, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(published_module, "download", lambda *_: pytest.fail("a download"))
    edit(run / "config.yaml", f"weights: {place / 'start.safetensors'}", "weights: published")
    assert states(run)["weights"] == UNKNOWN
    published = tmp_path / "hub" / "checkpoints" / "mobilenet_v3_small-047dcff4.pth"
    published.parent.mkdir(parents=True)
    shutil.copy(place / "start.safetensors", published)
    assert states(run)["weights"] == SAME
    published.write_bytes(b"other")
    assert states(run)["weights"] == CHANGED


@pytest.mark.parametrize(("arguments", "says"), [
    ([], "run=RUN is required"), (["rerun=true"], "run=RUN is required"),
    (["run=nowhere"], "not the folder of a run"),
    (["run=.", "rerum=true"], "Did you mean 'rerun'"), (["run=.", "rerun=maybe"], "neither true nor false"),
])
def test_mistakes_end_with_2(capsys, arguments, says):
    code, output = verify(capsys, *arguments)
    assert code == 2
    assert says in output


def test_an_unfinished_or_unlocked_run_ends_with_2(run, capsys):
    lock = json.loads((run / "lock.json").read_text())
    del lock["bundle"]
    (run / "lock.json").write_text(json.dumps(lock))
    code, output = verify(capsys, f"run={run}")
    assert code == 2 and "it has no bundle" in output
    edit(run / "status.json", '"finished"', '"stopped"')
    code, output = verify(capsys, f"run={run}")
    assert code == 2 and "is not finished" in output and f"trainer.resume={run}\n" in output


@pytest.mark.slow
def test_a_rerun_gives_the_same_weights(place, run, capsys, plugins):
    code, output = verify(capsys, f"run={run}", "rerun=true")
    assert code == 0, output
    assert "the same weights, bit for bit" in output and "before" in output
    assert output.endswith("as the lock file has them; training it again gave the same weights and metrics\n")
    [again] = set((place / "runs").iterdir()) - {run}
    kept, made = (json.loads((folder / "lock.json").read_text()) for folder in (run, again))
    assert kept["bundle"] == made["bundle"]
    config, overrides = (yaml.safe_load((again / name).read_text()) for name in ("config.yaml", "overrides.yaml"))
    planned = ("precision", "memory_format", "micro_batch", "devices")
    assert all(config["trainer"][key] == str(kept[key]) for key in planned)
    # So that one that is stopped can be resumed.
    config["image"]["channels"] = "auto"  # which the images decide again
    assert compose(overrides, plugins) == restore_config(config, again, plugins.tasks)
    assert set(states(again).values()) == {SAME}


@pytest.mark.slow
def test_two_runs_with_the_same_lock_have_the_same_weights(place):
    mode = ["network.weights=none", "trainer.precision=fp32", "trainer.memory_format=contiguous"]
    first, second, other = (train(place, *mode, *more) for more in ([], [], ["trainer.seed=1"]))
    locks = [json.loads((folder / "lock.json").read_text()) for folder in (first, second, other)]
    bundles = [lock.pop("bundle") for lock in locks]
    assert locks[0] == locks[1] != locks[2]
    assert bundles[0] == bundles[1] != bundles[2]
    one, two = (load_tree(folder / "model" / "model.safetensors")["model"] for folder in (first, second))
    assert all(value.equal(two[name]) for name, value in one.items())


def test_a_rerun_with_another_seed_is_told_apart(place, run, capsys):
    copy = place / "runs" / "copied"
    shutil.copytree(run, copy)
    change_seed(place, copy)
    code, output = verify(capsys, f"run={copy}", "rerun=true")
    assert code == 1 and "tensors differ, by at most" in output
    assert "metrics that differ: loss" in output
    assert output.endswith("2 have changed (split, config); training it again gave other weights\n"), output


def test_a_rerun_says_which_tensors_differ(run, plugins):
    lock = json.loads((run / "lock.json").read_text())
    (run / "lock.json").write_text(json.dumps(lock | {"bundle": "of other weights"}))
    edit_one_weight(run)
    again = train_again(run, [], plugins)
    assert list(again.differing) == ["network.classifier.3.bias"]
    assert again.differing["network.classifier.3.bias"] == pytest.approx(1e-3, rel=1e-3)
    assert not again.same
    assert "1 of 244 tensors differ, by at most 0.001" in "\n".join(again.lines())


@pytest.mark.parametrize(("change", "says"), [(change_label, "the images or their labels changed"),
                                              (change_weights, "the file of starting weights changed")])
def test_a_rerun_from_something_else_is_refused_before_it_trains(place, run, capsys, change, says):
    change(place, run)
    code, output = verify(capsys, f"run={run}", "rerun=true")
    assert code == 2
    assert says in output
    assert list((place / "runs").iterdir()) == [run]


def test_a_rerun_without_a_bundle_to_compare_with_does_not_train(place, run, capsys):
    (run / "model" / "model.safetensors").unlink()
    code, output = verify(capsys, f"run={run}", "rerun=true")
    assert code == 2 and "model.safetensors" in output
    assert list((place / "runs").iterdir()) == [run]


def install(preset, folder):
    card = {key: value for key, value in asdict(preset.card).items() if value and key != "name"}
    (folder / f"{preset.name}.yaml").write_text(yaml.safe_dump(
        {"task": preset.task, "network": preset.network, **card, "config": preset.config}))


@pytest.mark.slow
def test_a_preset_has_a_checksum_and_a_run_in_it_is_made_again(place, capsys, preset_folder):
    install(PRESET, preset_folder)
    run = train(place, "preset=cats")
    lock = json.loads((run / "lock.json").read_text())
    assert lock["preset"] == PRESET.checksum
    code, output = verify(capsys, f"run={run}", "rerun=true")
    assert code == 0, output
    install(replace(PRESET, config={**PRESET.config, "image": {"size": 64}}), preset_folder)
    assert texts(run, CHANGED) == {"preset": "the content of the preset's file"}
    (preset_folder / "cats.yaml").unlink()
    assert "No installed plugin provides the preset 'cats'" in texts(run, UNKNOWN)["preset"]


def test_a_job_of_a_sweep_is_made_again_beside_the_sweep(place, plugins):
    overrides = [*TRAIN, f"dataset.root={place / 'set'}", "network.weights=none", f"output_dir={place / 'swept'}"]
    result = start(compose(overrides, plugins), overrides, plugins, place / "swept" / "a-sweep" / "0")
    again = train_again(result.run_dir, [], plugins)
    assert again.same
    assert again.run_dir.parent == place / "swept"


@pytest.mark.slow
def test_two_devices_with_json(run):
    """As many as the run had; what the ranks, processes of their own, say must not get into the JSON."""
    edit(run / "lock.json", '"devices": 1', '"devices": 2')
    code, output, errors = command("verify", f"run={run}", "rerun=true", "--json")
    assert code == 1, errors  # each rank normalizes by its own images
    again = Path(json.loads(output)["rerun"]["run_dir"])
    assert json.loads((again / "lock.json").read_text())["devices"] == 2
    assert "epoch 1/1" in errors
