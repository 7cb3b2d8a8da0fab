"""Every command takes names as typed: data sets, runs and their folders, without quotes for Hydra."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
from command_line import refused, within
from PIL import Image
from rich.table import Table

from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import one_line
from sightsmith.engine.pipeline.console import console

SETTINGS = ["task=classification", "network=shufflenet_v2_x0_5", "network.weights=none", "recipe=platform",
            "image.size=32", "hyper.epochs=2", "hyper.batch_size=8", "trainer.precision=fp32",
            "trainer.memory_format=contiguous", "logger=[]", "dataset.folds=none"]


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


DATA, RUNS, NAME, DESCRIPTION = "${HOME} [1]", "a$b, (#1)", "1.50", "x, y: '${task.name}' = {z}"


@pytest.fixture(scope="module")
def place(photos, tmp_path_factory):
    """A folder with a data set and a finished run, which was paused, and resumed as it said."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(photos, folder / DATA)
        said = succeeded("train", *SETTINGS, f"dataset.root={DATA}", f"output_dir={RUNS}", f"name={NAME}",
                         f"description={DESCRIPTION}", "trainer.pause_after_epoch=1")
        command = shlex.split(said.replace("\n", "").partition("Resume it with:")[2])
        assert command[:2] == ["sightsmith", "train"]
        succeeded(*command[1:], "trainer.pause_after_epoch=null")
    return folder


@pytest.fixture
def run(place, monkeypatch):
    monkeypatch.chdir(place)
    [found] = (place / RUNS).glob("*/")
    return found


def test_a_run_keeps_what_was_typed(run, place):
    card = json.loads((run / "model" / "model.json").read_text())["config"]
    assert (card["dataset"]["root"], card["name"], card["description"]) == (str(place / DATA), NAME, DESCRIPTION)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert json.loads(succeeded("list", "runs", "--json", "--output-dir", RUNS))[0]["run"] == f"{RUNS}/{run.name}"
    checks = json.loads(succeeded("verify", f"run={RUNS}/{run.name}", "--json"))["checks"]
    assert {item["state"] for item in checks} == {"same"}


def test_evaluation_and_prediction(run, place):
    assert "warning: the images" not in succeeded("evaluate", f"run={run}")
    succeeded("evaluate", f"run={run}", f"dataset.root={DATA}", "output_dir=[out] ${x}")
    succeeded("predict", f"run={run}", f"input={DATA}/Classes/a", "output_dir=[out] ${x}")
    assert len(list((place / "[out] ${x}").iterdir())) == 2


def test_retraining_and_a_preset(run):
    succeeded("inspect", f"base_run={RUNS}/{run.name}", f"dataset.root={DATA}")
    create = ["preset", "create", f"run={run}", "name=mine", f"output_dir={RUNS}"]
    assert "has an interpolation" in refused(*create)
    succeeded(*create, "description=a, b: #c")
    succeeded("inspect", f"preset={RUNS}/mine.yaml", f"dataset.root={DATA}")


def test_no_folder_of_this_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "dataset.root=~ab (1): there is no such folder" in refused("inspect", "task=classification",
                                                                     "dataset.root=~ab (1)")
    assert "run=" in refused("verify", "run=~ab")
    assert "is not a finished run" in refused("evaluate", "run=~ab")


ODD = "a\n\x1b[2J\t[red]"
"""A name that breaks lines, clears the screen, and is markup."""
SHOWN = r"a\n\x1b[2J\t[red]"


@pytest.fixture
def odd(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos / "Classes", tmp_path / "set")
    (tmp_path / "set" / "a").rename(tmp_path / "set" / ODD)
    return tmp_path / "set"


def test_names_never_break_lines_or_obey(odd):
    for arguments in (["inspect", "dataset=set"], ["init", "dataset=set"], ["inspect", "task=detection", "dataset=set"],
                      ["inspect", "preset=pneumothorax", "dataset=set"]):
        _, output, errors = within(*arguments)
        assert not {"\x1b", "\t"} & {*(output + errors)}, arguments
        assert not any(line.startswith("\\x1b") for line in (output + errors).splitlines()), arguments
    assert SHOWN in succeeded("inspect", "dataset=set")
    shutil.copy(next((odd / "b").iterdir()), odd / ODD / "copy.png")
    lines = refused("inspect", "dataset=set").splitlines()
    assert any("the same image has different labels" in line and SHOWN in line for line in lines)


def test_names_are_no_markup(capsys):
    screen = console()  # by which every step of a run prints
    screen.print(f"warning: {Problem(ODD, hint=ODD)}")
    table = Table("class")
    table.add_row(one_line(ODD))
    screen.print(table)
    assert capsys.readouterr().out.count(SHOWN) == 3
    assert listed([ODD]) == one_line(ODD) == SHOWN
