"""``sightsmith train dataset=photos``: the task is found from the annotation."""

from __future__ import annotations

import json

import object_datasets
import pytest
import yaml
from broken_datasets import picture
from command_line import refused, within
from volume_files import decathlon

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.find_task import with_task
from sightsmith.engine.search.keywords import as_overrides


def folders(root):
    for number in range(4):
        picture(root / ["cat", "dog"][number % 2] / f"{number}.png", number)


@pytest.mark.parametrize(("make", "task", "why"), [
    (folders, "classification", "labels (class_folders: 2 folders of images)"),
    (object_datasets.box_csv(), "detection", "boxes (label_csv"),
    (object_datasets.voc(), "detection", "boxes (voc"),
    (object_datasets.coco([[2, 3, 10, 3, 10, 9]]), "detection", "also be task=classification or task=segmentation"),
    (object_datasets.labelme("polygon", ((2, 3), (10, 3), (10, 9))), "detection", "boxes (labelme"),
    (object_datasets.masks(), "segmentation", "masks (mask_folders"),
    (object_datasets.mask_csv(), "segmentation", "masks (label_csv"),
    (decathlon, "segmentation", "masks (mask_folders"),
], ids=["folders", "boxes", "voc", "polygons", "labelme", "mask files", "mask rows", "volumes"])
def test_the_task_that_trains_on_what_is_there(tmp_path, plugins, make, task, why):
    make(tmp_path)
    lines = []
    assert with_task([f"dataset={tmp_path}"], plugins, lines.append) == [f"task={task}", f"dataset.root={tmp_path}"]
    [line] = lines
    assert line.startswith(f"Task: {task}, because the data set has") and why in line


def test_boxes_beside_folders_count_more_than_the_names_of_folders(tmp_path, plugins):
    folders(tmp_path)
    object_datasets.coco()(tmp_path)
    assert with_task([f"dataset.root={tmp_path}"], plugins, lambda line: None)[0] == "task=detection"


@pytest.mark.parametrize("more", ["task=segmentation", "preset=nuclei", "base_run=runs/x", "+experiment=mine",
                                  "++task=detection", "hydra.searchpath=[file://conf]"])
def test_what_chooses_a_task_is_left_alone(tmp_path, plugins, more):
    folders(tmp_path)
    assert with_task([f"dataset={tmp_path}", more], plugins, pytest.fail) == [f"dataset.root={tmp_path}", more]


@pytest.mark.parametrize("more", ["+augment.extra.mosaic.probability=1", "++network.options.depth=2",
                                  "~augment.extra.mosaic", "hydra.verbose=true"])
def test_what_chooses_no_task(tmp_path, plugins, more):
    folders(tmp_path)
    assert with_task([f"dataset={tmp_path}", more], plugins, lambda line: None)[0] == "task=classification"


def test_the_format_may_be_quoted(tmp_path, plugins):
    folders(tmp_path)
    object_datasets.coco()(tmp_path)
    typed = as_overrides({"dataset": {"root": tmp_path, "format": "class_folders"}})
    assert with_task(typed, plugins, lambda line: None)[0] == "task=classification"


def test_damaged_boxes_are_boxes(tmp_path, plugins):
    object_datasets.coco()(tmp_path)
    [file] = tmp_path.rglob("*.json")
    content = json.loads(file.read_text())
    for item in content["annotations"]:
        item["bbox"] = [1, 2, "x"]
    file.write_text(json.dumps(content))
    assert with_task([f"dataset={tmp_path}"], plugins, lambda line: None)[0] == "task=detection"
    assert "is not four numbers" in refused("inspect", f"dataset={tmp_path}")


def test_a_sweep_over_data_sets(tmp_path, monkeypatch, plugins):
    folders(tmp_path / "a")
    folders(tmp_path / "a,b")
    monkeypatch.chdir(tmp_path)
    assert with_task(["dataset=a,c"], plugins, pytest.fail) == ["dataset.root=a,c"]
    assert with_task(["dataset=a,b"], plugins, lambda line: None) == ["task=classification", "dataset.root=a,b"]


def test_showing_the_configuration(tmp_path):
    folders(tmp_path)
    code, output, errors = within("train", f"dataset={tmp_path}", "--cfg", "job")
    assert code == 0, errors
    assert yaml.safe_load(output)["dataset"]["root"] == str(tmp_path)
    assert "Task: classification" in errors


def test_other_values_are_left_alone(plugins):
    for overrides in (["dataset={root:x}"], ["dataset.root=sample"], ["hyper.epochs=3"]):
        assert with_task(overrides, plugins, pytest.fail) == overrides


def test_the_commands(tmp_path):
    object_datasets.box_csv()(tmp_path / "my photos")
    code, output, errors = within("inspect", f"dataset='{tmp_path / 'my photos'}'")
    assert code == 0, errors
    assert "Task: detection" in output
    assert "there is no such folder" in refused("train", f"dataset={tmp_path / 'my photo'}")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("x")
    assert "no data set of a known format" in refused("inspect", f"dataset={tmp_path / 'text'}")


def test_python(tmp_path, capsys):
    object_datasets.masks()(tmp_path)
    with pytest.raises(UserError, match="so there is no result"):
        sightsmith.train([f"dataset={tmp_path}", "trainer.dry_run=true", "network=fastscnn", "network.weights=none",
                          "image.size=64", "trainer.precision=fp32", "trainer.memory_format=contiguous"])
    assert "Task: segmentation, because the data set has masks" in capsys.readouterr().out
