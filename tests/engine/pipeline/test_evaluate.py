"""Evaluation of a finished run on labelled images, from the command line and from Python."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
from command_line import refused, within
from PIL import Image
from processes import command
from shared_runs import copied
from small_runs import LABELS

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir
from sightsmith.engine.pipeline.evaluate import TRAINED_ON, evaluate


def test_its_own_data_has_the_metrics_of_the_training(digits, tmp_path):
    digits = copied(digits, tmp_path)
    found = evaluate(digits)
    assert list(found.splits) == ["train", "validation"]
    for name, value in found.splits["validation"].metrics.items():
        assert value == pytest.approx(digits.metrics[name], abs=1e-6), name
    assert (found.splits["validation"].interval.low, found.splits["validation"].interval.high) == (
        digits.metrics["accuracy_low"], digits.metrics["accuracy_high"])
    kept = json.loads((found.folder / "metrics.json").read_text())
    assert kept["splits"]["validation"]["metrics"] == found.splits["validation"].metrics
    assert found.folder.parent == digits.run_dir / "evaluations"
    page = found.report.read_text()
    for title in ("Metrics", "Per class, train", "Confusion matrix, validation", "Calibration, validation"):
        assert f"<h2>{title}</h2>" in page
    rows = {row[0]: row[1:] for row in csv.reader((found.folder / "metrics.csv").open())}
    assert rows[""] == ["train", "validation"]
    assert rows["images"] == [str(found.splits[name].images) for name in ("train", "validation")]


@pytest.mark.slow
def test_the_command_on_another_folder_whose_classes_are_a_part(digits, tmp_path):
    classes = sorted(cache_dir().glob("samples/classification/Classes/*"))
    for folder in classes[:3]:
        for path in sorted(folder.glob("*.png"))[:6]:
            target = tmp_path / "new" / folder.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    code, output, errors = command("evaluate", f"run={digits.run_dir}", f"dataset.root={tmp_path / 'new'}", "--json",
                                   f"output_dir={tmp_path / 'out'}")
    assert code == 0, errors
    said = json.loads(output)
    assert said["splits"].keys() == {"all"}
    assert said["splits"]["all"]["images"] == 18
    metrics = said["splits"]["all"]["metrics"]
    assert metrics["recall/9"] is None
    assert metrics["recall/0"] is not None
    assert (tmp_path / "out").is_dir()
    # The same through the paths of prediction.
    right = total = 0
    for folder in classes[:3]:
        paths = sorted((tmp_path / "new" / folder.name).glob("*.png"))
        right += sum(next(iter(item.scores)) == folder.name for item in digits.predict(paths))
        total += len(paths)
    assert metrics["accuracy"] == pytest.approx(right / total)


@pytest.mark.slow
def test_a_test_split_is_evaluated_and_never_trained_on(tmp_path):
    for split, count in (("train", 8), ("val", 4), ("test", 5)):
        for name, shade in (("dark", 40), ("light", 200)):
            for number in range(count):
                path = tmp_path / "set" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (32, 32), shade + {"train": 0, "val": 20, "test": 40}[split] + number).save(path)
    plain = [text for text in LABELS if not text.startswith("dataset.")]
    result = sightsmith.train([*plain, f"dataset.root={tmp_path / 'set'}", "dataset.min_images_per_class=1",
                               f"output_dir={tmp_path / 'runs'}"])
    data = json.loads((result.run_dir / "data.json").read_text())
    assert data["images"] == {"train": 16, "validation": 8}
    assert any("10 images of the test split" in problem["message"] for problem in data["problems"])
    found = evaluate(result)
    assert {name: split.images for name, split in found.splits.items()} == {"train": 16, "validation": 8, "test": 10}
    said: list[str] = []
    again = {"dataset.root": str(tmp_path / "set")}
    assert evaluate(result, again, "test", report=said.append).splits.keys() == {"test"}
    assert not any(TRAINED_ON in line for line in said)
    page = evaluate(result, again, report=said.append).report.read_text()
    assert f"warning: {TRAINED_ON}" in said and TRAINED_ON in page
    with pytest.raises(UserError, match="has train, validation, test"):
        evaluate(result, split="tests")


def test_a_bad_file_is_named_and_the_others_are_evaluated(digits, tmp_path):
    for name in ("0", "1"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (32, 32), 90 + 40 * int(name) + number).save(tmp_path / "set" / name / f"{number}.png")
    cut = tmp_path / "set" / "1" / "3.png"
    cut.write_bytes(cut.read_bytes()[:60])
    Image.fromarray(np.random.default_rng(0).random((32, 32), np.float32)).save(tmp_path / "set" / "1" / "4.tif")
    np.save(tmp_path / "set" / "1" / "5.npy", np.zeros((32, 32, 5), np.uint8))
    code, _, errors = within("evaluate", f"run={digits.run_dir}", f"dataset.root={tmp_path / 'set'}",
                             f"output_dir={tmp_path / 'out'}")
    assert code == 1
    assert "3 images could not be read, not counted in any score: 1/3.png, 1/4.tif, 1/5.npy" in errors
    [folder] = (tmp_path / "out").iterdir()
    said = json.loads((folder / "metrics.json").read_text())
    assert said["left_out"] == ["1/3.png", "1/4.tif", "1/5.npy"]
    assert said["splits"]["all"]["images"] == 7


def two_shades(root, count=8):
    for name, shade in (("dark", 40), ("light", 200)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (32, 32), shade + number).save(root / name / f"{number}.png")


def test_training_leaves_bad_files_out_when_asked(tmp_path, monkeypatch):
    two_shades(tmp_path / "set")
    cut = tmp_path / "set" / "dark" / "3.png"
    cut.write_bytes(cut.read_bytes()[:60])
    monkeypatch.chdir(tmp_path)
    plain = [text for text in LABELS if not text.startswith("dataset.")]
    with pytest.raises(UserError, match="dataset.on_bad_image=skip"):
        sightsmith.train([*plain, "dataset.root=set", "hyper.epochs=1"])
    result = sightsmith.train([*plain, "dataset.root=set", "dataset.on_bad_image=skip", "hyper.epochs=1"])
    for file in ("plan.json", "lock.json"):
        assert json.loads((result.run_dir / file).read_text())["left_out"] == ["dark/3.png"]
    assert "1 image that cannot be read: dark/3.png" in (result.run_dir / "report" / "index.html").read_text()
    monkeypatch.chdir(tmp_path.parent)  # the run finds its data from there too
    code, _, errors = within("evaluate", f"run={result.run_dir}", f"output_dir={tmp_path / 'out'}")
    assert (code, "1 image could not be read" in errors) == (1, True)


def test_mistakes(digits, tmp_path):
    for name in ("0", "cat"):
        path = tmp_path / "set" / name / "1.png"
        path.parent.mkdir(parents=True)
        Image.new("L", (32, 32), 90 + len(name)).save(path)
    errors = refused("evaluate", f"run={digits.run_dir}", f"dataset.root={tmp_path / 'set'}")
    for part in ("unknown: cat", "the data set has 0, cat", "the run knows 0, 1, 2"):
        assert part in errors
    for arguments, says in (([f"run={tmp_path}"], "is not a finished run"),
                            ([os.fsdecode(b"run=r_\xe4")], "its name is not UTF-8, so no model can be read"),
                            ([f"run={digits.run_dir}", "dataset.rot=x"], "unknown key 'dataset.rot'"),
                            ([f"run={digits.run_dir}", f"dataset.root={tmp_path / 'gone'}"], "there is no such folder"),
                            ([f"run={digits.run_dir}", "dataset.format=cocoo"], "Did you mean 'coco'?"),
                            ([], "run=RUN is required")):
        assert says in refused("evaluate", *arguments)
    assert not list(tmp_path.glob("runs"))
    shutil.copytree(digits.run_dir / "model", tmp_path / "moved" / "model")
    with pytest.raises(UserError, match="lock.json is missing"):
        evaluate(sightsmith.load(tmp_path / "moved"))


@pytest.mark.slow
@pytest.mark.parametrize(("run", "score"), [("box_tiles", "ap"), ("map_tiles", "dice")])
def test_tiles_are_evaluated_as_in_validation(request, tmp_path, run, score):
    result = request.getfixturevalue(run)
    found = evaluate(result, split="validation", output_dir=tmp_path).splits["validation"]
    assert found.metrics[score] == pytest.approx(result.metrics[score], abs=1e-6)
    assert (found.interval.low, found.interval.high) == (
        result.metrics[f"{score}_low"], result.metrics[f"{score}_high"])


def test_images_of_no_class_or_several_are_named_where_one_is_given(digits, tmp_path):
    for name, shade in (("a", 90), ("b", 160)):
        Image.new("L", (32, 32), shade).save(tmp_path / f"{name}.png")
    (tmp_path / "label.csv").write_text("a.png,0,1\na.png,1,1\nb.png,0,0\nb.png,1,0\n")
    with pytest.raises(UserError) as raised:
        evaluate(digits, {"dataset.root": str(tmp_path)}, output_dir=tmp_path / "out")
    assert [problem.message for problem in raised.value.problems] == ["a.png: 0, 1", "b.png: no class"]
