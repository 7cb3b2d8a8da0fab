"""Every command takes names as typed: data sets, runs and their folders, without quotes for Hydra."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
from command_line import refused, within
from PIL import Image

pytestmark = pytest.mark.usefixtures("blank_plots")
SETTINGS = ["task=classification", "network=resnet18", "network.weights=none", "recipe=platform", "image.size=32",
            "hyper.epochs=2", "hyper.batch_size=8", "trainer.precision=fp32", "trainer.memory_format=contiguous",
            "logger=[]", "dataset.folds=none"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos") / "set"
    for number in range(24):
        folder = root / "Classes" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(0, 90, (32, 32, 3), dtype=np.uint8) + 120 * (number % 2)
        Image.fromarray(values.astype(np.uint8)).save(folder / f"{number}.png")
    return root


def succeeded(*arguments):
    code, output, errors = within(*arguments)
    assert code == 0, (arguments, errors)
    return output


@pytest.mark.parametrize("name", ["a (1), b=#[c] 'd", "${HOME}", "~ab", "null", "1.50", " é ", '"a"'])
def test_inspect(photos, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, tmp_path / name)
    found = json.loads(succeeded("inspect", "task=classification", f"dataset.root={name}", "--json"))
    assert found["root"] == str(tmp_path / name)


def test_a_run_and_all_that_is_done_with_it(photos, tmp_path, monkeypatch):
    data, runs, name, description = "${HOME} [1]", "a$b, (#1)", "1.50", "x, y: '${task.name}' = {z}"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, tmp_path / data)
    paused = succeeded("train", *SETTINGS, f"dataset.root={data}", f"output_dir={runs}", f"name={name}",
                       f"description={description}", "trainer.pause_after_epoch=1")
    # What it tells you to type does what it says.
    command = shlex.split(paused.replace("\n", "").partition("Resume it with:")[2])
    assert command[:2] == ["sightsmith", "train"]
    succeeded(*command[1:], "trainer.pause_after_epoch=null")
    [run] = (tmp_path / runs).iterdir()
    card = json.loads((run / "model" / "model.json").read_text())["config"]
    assert (card["dataset"]["root"], card["name"], card["description"]) == (data, name, description)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert "warning: the images" not in succeeded("evaluate", f"run={run}")
    succeeded("evaluate", f"run={run}", f"dataset.root={data}", "output_dir=[out] ${x}")
    succeeded("predict", f"run={run}", f"input={data}", "output_dir=[out] ${x}")
    assert len(list((tmp_path / "[out] ${x}").iterdir())) == 2
    checks = json.loads(succeeded("verify", f"run={run}", "--json"))["checks"]
    assert {item["state"] for item in checks} == {"same"}
    assert f"{runs}/{run.name}" in json.loads(succeeded("list", "runs", "--json", "--output-dir", runs))[0]["run"]
    # A new run that starts from it, or is a preset of it.
    start = [f"dataset.root={data}", "trainer.dry_run=true"]
    succeeded("train", f"base_run={runs}/{run.name}", *start)
    assert "has an interpolation" in refused("preset", "create", f"run={run}", "name=mine", f"output_dir={runs}")
    succeeded("preset", "create", f"run={run}", "name=mine", f"output_dir={runs}", "description=a, b: #c")
    succeeded("train", f"preset={runs}/mine.yaml", *start)


def test_no_folder_of_this_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "dataset.root=~ab (1): there is no such folder" in refused("inspect", "task=classification",
                                                                     "dataset.root=~ab (1)")
    assert "run=" in refused("verify", "run=~ab")
    assert "is not a finished run" in refused("evaluate", "run=~ab")
