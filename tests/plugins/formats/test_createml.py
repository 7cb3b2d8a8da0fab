"""Create ML's keys, fractions, folders and mistakes."""

from __future__ import annotations

import json

import pytest
from object_datasets import BOX, CLASSES, HEIGHT, WIDTH
from tool_datasets import createml


def first(index):
    return next(sample for sample in index.samples if sample.path.stem == "0")


@pytest.mark.parametrize(("image", "annotations"), [
    ("imagefilename", "annotation"), ("imageFilename", "annotations"), ("filename", "annotations")])
def test_keys_of_other_versions(image, annotations, index_of, errors, tmp_path):
    def change(entries):
        for entry in entries:
            entry[image], entry[annotations] = entry.pop("image"), entry.pop("annotations")
    index = index_of(tmp_path, createml(change=change)(tmp_path))
    assert errors(index) == []
    assert [item.box for sample in index.samples for item in sample.objects] == [BOX] * 7
    assert first(index).objects[0].source_id == "entry 1, annotation 1"


def test_fractions(checked, warned, index_of, tmp_path):
    def change(entries):
        for entry in entries[:7]:
            entry["annotations"][0]["coordinates"] = {"x": 6 / WIDTH, "y": 6 / HEIGHT, "width": 8 / WIDTH,
                                                      "height": str(6 / HEIGHT)}
    name = createml(change=change)(tmp_path)
    assert first(checked(tmp_path, name, "boxes").index).objects[0].box == pytest.approx(BOX)
    assert "fractions" in warned(index_of(tmp_path, name))[0]


def test_a_file_in_the_folder_of_each_split(index_of, errors, warned, tmp_path):
    name = createml()(tmp_path)
    entries = json.loads((tmp_path / "annotations.json").read_text())
    (tmp_path / "annotations.json").unlink()
    for split, numbers in (("train", range(5)), ("valid", range(5, 7)), ("test", range(7, 8))):
        (tmp_path / split).mkdir()
        for number in numbers:
            (tmp_path / "images" / f"{number}.png").rename(tmp_path / split / f"{number}.png")
        part = [entries[number] for number in numbers]
        (tmp_path / split / "_annotations.createml.json").write_text(json.dumps(part))
    index = index_of(tmp_path, name)
    assert errors(index) + warned(index) == []
    assert {sample.path.stem: sample.split for sample in index.samples} == {
        **dict.fromkeys("01234", "train"), "5": "validation", "6": "validation", "7": "test"}


def test_labels_in_objects(index_of, errors, tmp_path):
    def change(entries):
        for entry in entries:
            entry["annotations"] = [{"label": name} for name in entry["annotations"]]
    index = index_of(tmp_path, createml("labels", change=change)(tmp_path))
    assert errors(index) == []
    assert (index.annotation, index.classes, first(index).labels) == ("labels", CLASSES, ("cat",))


@pytest.mark.parametrize(("annotation", "expected"), [
    ({"label": "cat", "coordinates": {"x": 1, "y": 2, "width": 3}}, "entry 1, annotation 1: the coordinates {'x': 1, "),
    ({"label": "cat", "coordinates": [1, 2, 3, 4]}, "the coordinates [1, 2, 3, 4] lack numbers in x, y, width, height"),
    ({"label": "cat", "coordinates": {"x": "a", "y": 2, "width": 3, "height": 1}}, "lack numbers in"),
    ({"label": "", "coordinates": {}}, "entry 1, annotation 1: has no label"),
    ({"coordinates": {}}, "has no label"),
    ({"label": "cat"}, "1 annotation has no coordinates: annotations.json (entry 1, annotation 1)"),
    (7, "has no label"),
])
def test_mistakes(annotation, expected, index_of, errors, tmp_path):
    def change(entries):
        entries.append(entries[0] | {"annotations": [annotation]})
        entries.insert(0, entries.pop())
        entries.pop(1)
    index = index_of(tmp_path, createml(change=change)(tmp_path))
    [error] = errors(index)
    assert expected in error
    assert len(index.samples) == 8


@pytest.mark.parametrize(("change", "expected"), [
    (lambda entries: entries[1].pop("annotations"), "annotations.json: entry 2: has no list 'annotations'"),
    (lambda entries: entries[1].pop("image"), "annotations.json: entry 2: names no image"),
    (lambda entries: entries.append(3), "annotations.json: entry 9: has no list 'annotations'"),
])
def test_mistakes_of_an_entry(change, expected, index_of, errors, tmp_path):
    def changed(entries):
        change(entries)
    [error] = errors(index_of(tmp_path, createml(change=changed)(tmp_path)))
    assert error.startswith(expected)
