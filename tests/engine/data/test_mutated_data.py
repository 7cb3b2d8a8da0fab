"""A fixed sample of `benchmarks/mutated_data.py`, and each kind of fault that it has found."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from functools import partial

import pytest
from broken_datasets import folders, picture
from every_format import CANARY, SETS, make, write_canaries
from guarded_inspect import CONTROL, dataset_case, image_case, inspect, prepare
from mutated_commands import COMMANDS, command_case
from tool_datasets import label_studio

from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.pipeline.prediction_images import find_images
from sightsmith.plugins.commands.output import print_json

IMAGE_SEEDS = [seed for seed in range(1, 23) if seed % 10]
"""Bombs, whose seeds end in 0, take longer."""


def _link_elsewhere(path):
    target = path.parents[2] / "moved.json" if path.parent.name == "annotations" else path.parents[1] / "moved.json"
    path.rename(target)
    path.symlink_to(target)


def _link_to_nothing(path):
    path.unlink()
    path.symlink_to("nothing.json")


@pytest.fixture(autouse=True, scope="module")
def _prepared(_own_cache):
    prepare()


@pytest.mark.parametrize("first", [0, 5, 10, *(pytest.param(first, marks=pytest.mark.slow)
                                               for first in range(15, 60, 5))])
def test_mutated_data_sets(first, tmp_path):
    _assert_no_fault(dataset_case, range(first, first + 5), tmp_path)


@pytest.mark.parametrize("seeds", [IMAGE_SEEDS[:10], IMAGE_SEEDS[10:]])
def test_hostile_images(seeds, tmp_path):
    _assert_no_fault(image_case, seeds, tmp_path)


@pytest.mark.parametrize(("command", "first"), [("convert", 2), *(
    pytest.param(command, 4, marks=pytest.mark.slow) for command in COMMANDS)])
def test_mutated_data_sets_in_other_commands(command, first, tmp_path):
    _assert_no_fault(partial(command_case, command), range(first, first + 2), tmp_path)


def _assert_no_fault(make_case, seeds, folder):
    faults = []
    for seed in seeds:
        (folder / str(seed)).mkdir()
        case = make_case(seed, folder / str(seed))
        faults += [f"--seed {seed} ({case.name}; {case.text!a}): {case.fault}"] if case.fault else []
    assert faults == []


def test_a_fault_would_be_noticed(tmp_path):
    write_canaries(tmp_path)
    folders(tmp_path / "set")
    (tmp_path / "allowed").mkdir()
    outcome = inspect(tmp_path / "allowed", "classification", tmp_path / "set")
    assert f"read {str(tmp_path / 'set' / 'cat' / '0.png')!r}" in outcome.touched


@pytest.mark.parametrize("name", ["class_folders", "coco", "via, boxes", "voc", "voc_masks", "mask_folders", "yolo",
                                  "label_csv", "labelme", "datumaro, boxes", "hf_image_folder, labels"])
def test_locked_folders(name, tmp_path):
    """A folder may be listed and its files may not be opened, or not even that."""
    task, source = make(name, tmp_path / "set")
    inner = next((path for path in sorted(source.iterdir()) if path.is_dir()), None)
    inner = inner or picture(source / "more" / "1.png").parent
    inner.chmod(0)
    outcome = inspect(source, task)
    assert (outcome.code, outcome.said_code) in ((0, 0), (2, 2)), outcome
    assert f"{inner.name}: cannot be read, so nothing in it is used" in outcome.said or f"{inner.name}" in outcome.said
    inner.chmod(0o755)


@pytest.mark.parametrize("name", [name for name in SETS if "json" in name or "," in name or name in (
    "coco", "labelme", "voc, plain", "yolo")])
def test_links_out_of_the_data_set_are_not_followed(name, tmp_path):
    """Neither those of annotation, into which formats look to recognise themselves, nor those of folders."""
    task, source = make(name, tmp_path / "set")
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix in (
        ".json", ".jsonl", ".csv", ".xml", ".txt", ".yaml", ".parquet")]
    for path in files:
        outside = tmp_path / f"outside-{path.name}"
        path.rename(outside)
        path.symlink_to(outside)
    (source / "far").symlink_to(tmp_path / CANARY)
    outcome = inspect(source, task)
    assert outcome.code == 2
    assert outcome.touched == ()
    assert CANARY not in outcome.said + outcome.errors


def test_a_link_to_a_folder_elsewhere_is_named(tmp_path):
    write_canaries(tmp_path)
    folders(tmp_path / "set")
    (tmp_path / "set" / "far").symlink_to(tmp_path / CANARY)
    (tmp_path / "set" / "near").symlink_to("dog")
    outcome = inspect(tmp_path / "set", "classification")
    assert outcome.code == 2
    assert "far: is a link to a folder outside the data set\n      copy the folder" in outcome.said
    assert "dog/0.png and near/0.png" in outcome.said  # a link inside the data set is a folder like any other


@pytest.mark.parametrize("odd", [os.fsdecode(b"caf\xe9"), os.fsdecode(b"\xff")])
def test_names_that_are_not_utf8(odd, tmp_path):
    root, escaped = tmp_path / "set", odd.encode("unicode_escape").decode()
    folders(root)
    (root / "cat" / "0.png").rename(root / "cat" / f"{odd}.png")
    outcome = inspect(root, "classification")
    assert (outcome.code, outcome.said_code) == (0, 0)
    assert f"cat/{escaped}.png" in find_images(str(root), [], ImageConfig()).paths
    picture(root / "cat" / f"{escaped}.png")
    assert f"cat/{escaped}.png: two files have this name once it is text" in inspect(root, "classification").said
    (root / "dog").rename(root / odd)
    root.rename(tmp_path / odd)
    outcome = inspect(tmp_path, "classification", tmp_path / odd)
    assert (outcome.code, outcome.said_code) == (2, 2)
    for name in (escaped, str(tmp_path / escaped)):
        assert f"- {name}: its name is not UTF-8, so no report could name it\n      rename it" in outcome.said
    assert odd in outcome.values["classes"]


def test_json_is_valid_wherever_it_is_printed(monkeypatch):
    for encoding in ("ascii", "latin-1", "utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        print_json({"chät": "犬"})
        stream.seek(0)
        assert json.loads(stream.read()) == {"chät": "犬"}
        monkeypatch.undo()


@pytest.mark.parametrize("odd", ["\x1b[31mred", "a\rb", "a\x9bb", "a\u202eb"])
def test_names_give_the_terminal_no_orders(odd, tmp_path):
    root = tmp_path / "set"
    folders(root, (("cat", 4), (odd, 4)))
    picture(root / "cat" / f"{odd}.png", 77, (15, 40))
    outcome = inspect(root, "classification")
    assert outcome.code == 2
    escaped = odd.encode("unicode_escape").decode()
    assert f"cat/{escaped}.png: is 15 x 40 px" in outcome.said
    assert f"\n{escaped} " in outcome.said  # in the table of classes
    assert CONTROL.search(outcome.said) is None
    assert odd in outcome.values["classes"]


def test_a_name_cannot_forge_a_line(tmp_path):
    root = tmp_path / "set"
    folders(root)
    picture(root / "cat" / "a\n  - all is well.png", 77, (15, 40))
    outcome = inspect(root, "classification")
    assert "cat/a\\n  - all is well.png: is 15 x 40 px" in outcome.said


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0), lambda path: path.write_bytes(
    path.read_text().encode("utf-16-le")), _link_elsewhere, _link_to_nothing])
@pytest.mark.parametrize("name", ["coco", "label_studio, labels", "datumaro, boxes"])
def test_annotation_that_cannot_be_read_is_named(name, spoil, tmp_path):
    """Also where no format recognises it then, and the images alone are another data set."""
    task, source = make(name, tmp_path / "set")
    [path] = source.rglob("*.json")
    spoil(path)
    outcome = inspect(source, task)
    assert outcome.code == 2
    said = re.findall(rf"{path.relative_to(source)}: (.*)", outcome.said)
    reasons = "cannot be read: (Perm|No such)|is not UTF-8|is a link to a file"
    assert said and all(re.match(reasons, line) for line in said)


def test_a_blank_line_in_a_list_is_no_image(tmp_path):
    task, source = make("voc_masks", tmp_path / "set")
    path = source / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text("\n" + path.read_text().replace("\n", "\n\n"))
    outcome = inspect(source, task)
    assert outcome.code == 0 and outcome.values["images"] == {"train": 4, "validation": 3}


def test_a_zip_that_points_before_its_beginning_is_called_damaged(tmp_path):
    task, source = make("zip", tmp_path / "set")
    content = source.read_bytes()
    source.write_bytes(content[:200] + content[-600:])
    outcome = inspect(tmp_path / "set", task, source)
    assert outcome.code == 2 and "pets.zip is damaged or not a supported zip" in outcome.errors


def test_a_pipe_called_xml_is_not_waited_for(tmp_path):
    task, source = make("voc, plain", tmp_path / "set")
    os.mkfifo(source / "0.pipe.xml")
    outcome = inspect(source, task)
    assert outcome.code == 2 and "0.pipe.xml" in outcome.said


def test_tasks_with_the_same_id_are_all_read(index_of_labels, tmp_path):
    def change(tasks):
        tasks[2]["id"] = tasks[0]["id"]

    def shortened(tasks):
        return [{"image": task["data"]["image"], "id": 7, "annotation_id": task["id"], "choice": "cat"}
                for task in tasks]

    assert len(index_of_labels(tmp_path / "json", label_studio("labels", change=change)).samples) == 8
    assert len(index_of_labels(tmp_path / "min", label_studio("labels", change=shortened)).samples) == 8


@pytest.fixture
def index_of_labels(plugins):
    def read(root, maker):
        root.mkdir()
        return plugins.dataset_formats[maker(root)].make().read(root)
    return read
