"""A preset written from a finished run: its card, its locks, its weights, as a file and as a package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from command_line import refused
from shades import class_folders

import sightsmith
from sightsmith.cli import main
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.presets import find_preset
from sightsmith.engine.pipeline import verify
from sightsmith.engine.runs.weights import file_digest

FAST = ["trainer.precision=fp32", "trainer.memory_format=contiguous", "logger=[]"]


@pytest.fixture(scope="session")
def data(once):
    return f"dataset.root={once('two_shades', lambda root: class_folders(root, {'dark': 20, 'light': 180}, images=8))}"


@pytest.fixture(scope="session")
def run(data, trained):
    return trained("two_shades_run", data, "task=classification", "network=mobilenet_v3_small", "network.weights=none",
                   "recipe=platform", "image.size=48", "hyper.epochs=2", "hyper.batch_size=4", "hyper.optimizer=adamw",
                   "augment.rotation=3", "description='Dark or light'", *FAST)


@pytest.fixture
def preset(tmp_path, run, capsys):
    """The file that the command wrote."""
    call("create", f"run={run.run_dir}", "name=two_shades", f"output_dir={tmp_path / 'mine'}", "modality=photograph",
         "licence=CC0-1.0", "tunable=[augment.rotation]")
    assert f"sightsmith train preset={tmp_path}/mine/two_shades.yaml dataset.root=FOLDER" in capsys.readouterr().out
    return tmp_path / "mine" / "two_shades.yaml"


def call(*arguments, verb="preset"):
    with pytest.raises(SystemExit) as end:
        main([verb, *map(str, arguments)])
    assert end.value.code == 0


def test_the_file_says_all_that_a_shipped_one_says(preset, run):
    text = preset.read_text()
    head, content = text.split("title:")[0], yaml.safe_load(text)
    for part in ("sightsmith train preset=two_shades.yaml", "# Data: single-label, classes dark, light.",
                 run.run_dir.name, "which started from nothing", "Licence of this file and of the weights: CC0-1.0",
                 "Reference score: "):
        assert part in head.replace("\n#   ", " "), head
    assert str(run.run_dir) not in text
    weights = preset.with_name("two_shades.safetensors")
    assert weights.read_bytes() == (run.run_dir / "model" / "model.safetensors").read_bytes()
    assert (content["title"], content["description"], content["modality"]) == (
        "Two shades", "Dark or light", "photograph")
    assert (content["annotation"], content["classes"], content["cases"]) == ("single-label", ["dark", "light"], 16)
    assert content["score"].startswith(f"accuracy {run.metrics['accuracy']:.4f} (95 % confidence interval ")
    assert content["weights_sha256"] == file_digest(weights)
    assert content["config"]["image"]["size"] == 48
    assert content["config"]["hyper"]["optimizer"] == "adamw"
    assert sorted(path.name for path in preset.parent.iterdir()) == ["two_shades.safetensors", "two_shades.yaml"]


def test_its_card(preset, capsys):
    call("presets", preset, verb="list")
    shown = capsys.readouterr().out
    for part in ("Two shades: Dark or light", "two_shades.safetensors", "dark, light", "CC0-1.0", "augment.rotation"):
        assert part in shown
    call("presets", preset, "--json", verb="list")
    [row] = json.loads(capsys.readouterr().out)
    assert (row["name"], row["file"], row["provider"]) == ("two_shades", str(preset), str(preset))


def test_it_trains_as_the_run_did_from_its_weights(preset, run, data, tmp_path, plugins):
    again = sightsmith.train([f"preset={preset}", data, "hyper.epochs=1", "hyper.learning_rate=1e-6",
                              "hyper.momentum=0", "dataset.folds=none", *FAST, f"output_dir={tmp_path / 'runs'}"])
    config = yaml.safe_load((again.run_dir / "config.yaml").read_text())
    assert (config["flow"], config["preset"]["name"], config["image"]["size"]) == ("specialized", "two_shades", 48)
    assert config["augment"]["rotation"] == 3
    before, after = (result.model.state_dict()["network.classifier.3.weight"] for result in (run, again))
    assert (before - after).abs().max() < 1e-3
    lock = json.loads((again.run_dir / "lock.json").read_text())
    assert lock["weights"] == find_preset(str(preset), plugins).card.weights_sha256
    assert lock["preset"] == find_preset(str(preset), plugins).checksum

    elsewhere = shutil.copytree(preset.parent, tmp_path / "elsewhere")
    assert find_preset(str(elsewhere / preset.name), plugins).checksum == lock["preset"]

    states = {item.part: item.state for item in verify.check_run(again.run_dir, print, plugins)}
    assert states["preset"] == states["weights"] == verify.SAME
    again.run_dir.joinpath("config.yaml").write_text(
        (again.run_dir / "config.yaml").read_text().replace("size: 48", "size: 64"))
    with pytest.raises(UserError, match="image.size is locked to 48, but this run has 64"):
        verify.train_again(again.run_dir, [], plugins)
    preset.write_text(preset.read_text().replace("rotation: 3.0", "rotation: 4.0"))
    assert {item.part: item.state for item in verify.check_run(again.run_dir, print,
                                                               plugins)}["preset"] == verify.CHANGED


def test_weights_that_are_not_those_it_was_made_with(preset, data, tmp_path):
    weights = preset.with_name("two_shades.safetensors")
    again = [f"preset={preset}", data, *FAST, f"output_dir={tmp_path / 'runs'}"]
    content = yaml.safe_load(preset.read_text())
    preset.write_text(yaml.safe_dump(content | {"weights_sha256": "0" * 64}))
    with pytest.raises(UserError, match=r"two_shades\.safetensors is not the weights file that the preset"):
        sightsmith.train(again)
    weights.unlink()
    with pytest.raises(UserError, match=r"there is no file .*two_shades\.safetensors"):
        sightsmith.train(again)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("override", [
    "image.size=64", "network=resnet18", "network.weights=none", "network.weights=/other.safetensors",
    "augment.horizontal_flip=false", "preset.weights_sha256=''", "preset.file=''", "preset.file=/other.yaml",
    "preset.name=other", "flow=general", "network={weights:none}", "++network.options.dropout=0.5",
])
def test_it_locks_as_a_shipped_one_does(preset, override, plugins):
    run = [f"preset={preset}", "dataset.root=x"]
    with pytest.raises(UserError, match=rf"The preset two_shades of {preset} locks these keys"):
        compose([*run, override], plugins)


def test_what_is_free_in_it(preset, plugins):
    config = compose([f"preset='{preset}'", "dataset.root=x", "augment.rotation=9", "hyper.epochs=7",
                      "trainer.seed=3"], plugins)
    assert (config.augment.rotation, config.hyper.epochs, config.preset.file) == (9, 7, str(preset))


def test_files_in_quotes_are_swept_too(preset, tmp_path):
    output = refused("train", f"output_dir={tmp_path}", "-m", f"preset='{preset}',pneumothorax", "dataset.root=x",
                     "image.size=64")
    assert f"The preset two_shades of {preset}" in output
    assert "image.size is locked to 48" in output


@pytest.mark.slow
def test_a_relative_path(preset, monkeypatch, plugins):
    monkeypatch.chdir(preset.parent.parent)
    for path in ("mine/two_shades.yaml", "./mine/two_shades.yaml", "../" + preset.parent.parent.name
                 + "/mine/two_shades.yaml"):
        assert compose([f"preset={path}", "dataset.root=x"], plugins).preset.file == str(preset)
    monkeypatch.chdir(preset.parent)
    assert compose(["preset=two_shades.yaml", "dataset.root=x"], plugins).preset.file == str(preset)


@pytest.mark.parametrize(("change", "says"), [
    ({"config": {"hydra": {"callbacks": {"mine": {"_target_": "os.abort"}}}}}, "config sets hydra; it may set task, "
                                                                               "image"),
    ({"config": {"output_dir": "/"}}, "config sets output_dir"),
    ({"config": {"defaults": ["/network: other"]}}, "config sets defaults"),
    ({"description": "${oc.env:HOME}"}, "interpolation"),
    ({"weights": "../two_shades.safetensors"}, "weights must name a file next to it"),
    ({"weights_sha256": ""}, "weights_sha256 give its digest"),
    ({"title": None, "sauce": 1}, "unknown keys: sauce"),
])
def test_a_file_that_would_do_more_than_a_preset_does(preset, change, says, plugins):
    content = yaml.safe_load(preset.read_text()) | change
    preset.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=says):
        compose([f"preset={preset}", "dataset.root=x"], plugins)


def test_a_file_that_is_none(tmp_path, plugins):
    for name, text in (("list.yaml", "- 1"), ("broken.yaml", "a: [")):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=f"{name} .*cannot be read"):
            compose([f"preset={tmp_path / name}", "dataset.root=x"], plugins)
    with pytest.raises(UserError, match=r"there is no file .*gone\.yaml"):
        compose([f"preset={tmp_path / 'gone.yaml'}", "dataset.root=x"], plugins)


@pytest.mark.parametrize(("settings", "says"), [
    (["name=Two-Shades"], "name=Two-Shades must be lower-case letters"),
    (["name=pneumothorax"], r"name=pneumothorax: presets \(sightsmith .*\) already has a preset of this name"),
    (["name=a", "tunable=[augment.rotaton]"], "unknown key 'augment.rotaton'"),
    (["name=two_shades"], "two_shades.yaml exists already"),
])
def test_what_cannot_be_written(preset, run, settings, says, capsys):
    before = preset.read_bytes()
    with pytest.raises(SystemExit) as end:
        main(["preset", "create", f"run={run.run_dir}", f"output_dir={preset.parent}", *settings])
    assert end.value.code == 2
    assert re.search(says, capsys.readouterr().err)
    assert preset.read_bytes() == before
    assert len(list(preset.parent.iterdir())) == 2


@pytest.mark.parametrize(("settings", "says"), [
    (["name=a"], "run=RUN is required"), (["run=nowhere", "name=a"], "nowhere is not a finished run"),
    (["run=x", "name=a", "licens=MIT"], "Did you mean 'licence'"), (["run=x", "name=a", "package=yes"], "neither true"),
])
def test_what_is_typed_wrong(settings, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["preset", "create", *settings])
    assert end.value.code == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_package_is_installed_listed_and_trained(run, data, tmp_path, capsys):
    call("create", f"run={run.run_dir}", "name=two_shades", f"output_dir={tmp_path}", "package=true")
    shown = capsys.readouterr().out
    assert f"pip install {tmp_path / 'sightsmith-two-shades'}" in shown
    assert "states no licence" in shown
    package, installed = tmp_path / "sightsmith-two-shades", tmp_path / "installed"
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
                           "--no-build-isolation", "--target", str(installed), str(shutil.copytree(
                               package, tmp_path / "copy"))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])

    def command(*arguments):
        done = subprocess.run([sys.executable, "-m", "sightsmith", *arguments], capture_output=True, text=True,
                              check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "two_shades (sightsmith-two-shades 0.1.0)" in command("list", "presets", "two_shades")
    output = command("train", "preset=two_shades", data, "hyper.epochs=1", "dataset.folds=none", *FAST)
    assert "two_shades.safetensors" in output
    [made] = (tmp_path / "runs").iterdir()
    assert yaml.safe_load((made / "config.yaml").read_text())["network"]["weights"] == str(
        installed / "sightsmith_two_shades" / "two_shades.safetensors")


@pytest.mark.slow
def test_a_preset_of_a_run_of_a_preset_keeps_what_the_card_says_of_images(preset, data, tmp_path, capsys, plugins):
    again = sightsmith.train([f"preset={preset}", data, "hyper.epochs=1", "dataset.folds=none", *FAST,
                              f"output_dir={tmp_path / 'runs'}"])
    call("create", f"run={again.run_dir}", "name=better_shades", f"output_dir={tmp_path}", "title=Better shades")
    card = find_preset(str(tmp_path / "better_shades.yaml"), plugins).card
    assert (card.title, card.modality, card.description) == ("Better shades", "photograph", "Dark or light")
    assert (card.licence, card.weights) == ("not stated", "better_shades.safetensors")
