"""Label Studio's regions, brushes, annotators, paths and mistakes."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import pytest
from object_datasets import BOX, CLASSES, HEIGHT, WIDTH, coco, label, pictures
from tool_datasets import label_studio, percent

from sightsmith.engine.data.masks import decode
from sightsmith.plugins.formats.label_studio_brush import decode_brush, encode_brush

SIZE = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}


def first(index):
    return next(sample for sample in index.samples if sample.path.stem == "0")


def results(*entries):
    """The first task has these results instead."""
    def change(tasks):
        tasks[0]["annotations"][0]["result"] = list(entries)
    return change


def region(kind, size=SIZE, **value):
    return {"id": "r", "type": kind, "from_name": "label", **size, "value": {kind: ["cat"], **value}}


def minimal(record, count=8):
    def make(root):
        pictures(root / "images")
        records = [{"image": f"/data/upload/1/{number}.png", "id": number, "annotator": 1, "annotation_id": 5 + number,
                    "lead_time": 2.0, **record(number)} for number in range(count)]
        (root / "min.json").write_text(json.dumps(records))
        return "label_studio"
    return make


def test_known_bytes_of_a_brush():
    """2 x 1 px by hand: 8 values; sizes of counts 3, 4, 8, 16; four literal words, then four equal ones."""
    bits = f"{8:032b}" + f"{7:05b}" + "0010" "0011" "0111" "1111" + "0" "00" "011" + "0" * 24 + "1" * 8 + \
        "1" "00" "011" + "0" * 8
    bits += "0" * (-len(bits) % 8)
    content = [int(bits[place:place + 8], 2) for place in range(0, len(bits), 8)]
    assert decode_brush(content, 2, 1).tolist() == [[True, False]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (20, 24), (300, 400)])
def test_brushes_there_and_back(shape):
    for share in (0, 0.02, 0.5, 1):
        mask = np.random.default_rng([*shape]).random(shape) < share
        assert np.array_equal(decode_brush(encode_brush(mask), shape[1], shape[0]), mask)


def test_brushes_ellipses_and_turned_rectangles(index_of, errors, tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4, 5:9] = mask[7, 2] = True
    index = index_of(tmp_path, label_studio(change=results(
        region("brushlabels", format="rle", rle=encode_brush(mask)),
        region("ellipselabels", x=50, y=50, radiusX=25, radiusY=10, rotation=90),
        region("rectanglelabels", x=50, y=20, width=25, height=10, rotation=90)))(tmp_path))
    assert errors(index) == []
    brush, ellipse, rectangle = first(index).objects
    assert np.array_equal(decode(brush.mask, HEIGHT, WIDTH), mask)
    assert brush.box == (2, 4, 9, 8)
    assert ellipse.box == pytest.approx((10, 4, 14, 16))  # 6 px across and 2 px down, turned
    assert decode(ellipse.mask, HEIGHT, WIDTH).sum() == pytest.approx(math.pi * 12, rel=0.1)
    assert rectangle.box == pytest.approx((10, 4, 12, 10))  # turned around its corner (12, 4)


def test_labels_beside_their_shapes_several_labels_and_choices_of_a_region(index_of, errors, tmp_path):
    shape = {"id": "r", "type": "rectangle", **SIZE, "value": percent({}, "box")}
    index = index_of(tmp_path, label_studio(change=results(
        shape, {"id": "r", "type": "labels", "value": {"labels": ["dog"]}},
        {"id": "r", "type": "choices", "value": {"choices": ["blurred"]}},
        {**shape, "id": "s", "type": "choices", "value": percent({"choices": ["hidden"]}, "box")},
        {**shape, "id": "t", "type": "rectanglelabels", "value": percent({"rectanglelabels": ["cat", "dog"]}, "box")},
        {"from_id": "r", "to_id": "t", "type": "relation"},
        {"id": "u", "type": "textarea", "value": {"text": ["a note"]}}))(tmp_path))
    assert errors(index) == []
    assert [item.label for item in first(index).objects] == ["dog", "cat", "dog"]
    assert index.classes == CLASSES


def test_annotators_skipped_and_open_tasks(index_of, errors, warned, tmp_path):
    def change(tasks):
        other = {"id": 7, "was_cancelled": False, "result": []}
        tasks[0]["annotations"] = [other | {"was_cancelled": "true"}, *tasks[0]["annotations"], other]
        tasks[1]["annotations"] = [other | {"was_cancelled": 1}]
        tasks[2]["annotations"] = []
    index = index_of(tmp_path, label_studio(change=change)(tmp_path))
    assert errors(index) == []
    assert {sample.path.stem for sample in index.samples} == set("034567")
    assert first(index).objects[0].box == pytest.approx(BOX)
    assert warned(index) == [
        "1 tasks have several annotations, of which the first counts: project-1.json (task 0)",
        "1 tasks were skipped by their annotators and are left out: project-1.json (task 1)",
        "1 tasks have no annotation yet and are left out: project-1.json (task 2)"]


@pytest.mark.parametrize(("path", "moved"), [
    ("/data/upload/1/{}", False), ("/data/upload/{}", False), ("/data/local-files/?d=images/{}", False),
    ("/data/local-files/?d=pets%2Fimages/{}", True), ("s3://bucket/pets/{}", True), ("http://host:80/x/{}?a=b", True),
    ("/data/upload/1/0a1b2c3d-{}", True), ("/tasks/3/resolve/?fileuri=B64", True), ("gs://bucket/0a1b2c3d-{}", True),
])
def test_paths(path, moved, index_of, errors, warned, tmp_path):
    def text(number):
        uri = base64.urlsafe_b64encode(f"s3://bucket/pets/{number}.png".encode()).decode()
        return path.format(f"{number}.png").replace("B64", uri)
    index = index_of(tmp_path, label_studio(path=text)(tmp_path))
    assert errors(index) == []
    assert sorted(sample.name for sample in index.samples) == [f"images/{number}.png" for number in range(8)]
    assert bool(warned(index)) == (moved and "0a1b2c3d" not in path), warned(index)


def test_a_file_keeps_its_prefix_if_it_has_one(index_of, errors, tmp_path):
    name = label_studio(path=lambda number: f"/data/upload/1/0a1b2c3d-{number}.png")(tmp_path)
    (tmp_path / "images" / "0.png").rename(tmp_path / "images" / "0a1b2c3d-0.png")
    index = index_of(tmp_path, name)
    assert errors(index) == []
    assert index.samples[0].name == "images/0a1b2c3d-0.png"


def test_the_image_is_what_looks_like_one(index_of, errors, tmp_path):
    def change(tasks):
        for task in tasks:
            task["data"] = {"caption": "a pet", "scan": task["data"]["image"]}
    index = index_of(tmp_path, label_studio(change=change)(tmp_path))
    assert errors(index) == []
    assert len(index.samples) == 8


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_files_of_a_storage(suffix, index_of, errors, tmp_path):
    name = label_studio()(tmp_path)
    tasks = json.loads((tmp_path / "project-1.json").read_text())
    (tmp_path / "project-1.json").unlink()
    for task in tasks:
        [annotation] = task.pop("annotations")
        (tmp_path / f"{task['id']}{suffix}").write_text(json.dumps({**annotation, "task": task}))
    index = index_of(tmp_path, name)
    assert errors(index) == []
    assert [len(sample.objects) for sample in index.samples] == [1] * 7 + [0]


def test_coco_with_the_names_of_annotators_is_coco(plugins, tmp_path):
    def change(content):
        for annotation in content["annotations"]:
            annotation |= {"annotator": "ann", "annotation_id": 5, "result": 1}
    coco(change=change)(tmp_path)
    assert plugins.dataset_formats["label_studio"].make().detect(tmp_path) is None


def test_min_of_regions(index_of, errors, tmp_path):
    def record(number):
        return {"caption": "a pet", "label": [{**percent({"rectanglelabels": [label(number)]}, "box"), **SIZE}]} \
            if label(number) else {"caption": "nothing"}
    index = index_of(tmp_path, minimal(record)(tmp_path))
    assert errors(index) == []
    assert index.classes == CLASSES
    assert [item.box for sample in index.samples for item in sample.objects] == [pytest.approx(BOX)] * 7


@pytest.mark.parametrize("key", ["choice", "species"])
def test_min_of_choices(key, index_of, errors, tmp_path):
    index = index_of(tmp_path, minimal(lambda number: {key: ["cat", "dog"][number % 2]})(tmp_path))
    assert errors(index) == []
    assert (index.classes, index.multi_label) == (CLASSES, False)


def test_min_of_several_choices_and_annotators(index_of, errors, warned, tmp_path):
    name = minimal(lambda number: {"note": "x", "kind": {"choices": ["cat", "dog"]} if number else "cat"})(tmp_path)
    records = json.loads((tmp_path / "min.json").read_text())
    (tmp_path / "min.json").write_text(json.dumps([*records, records[0] | {"kind": "dog", "annotator": 2}]))
    index = index_of(tmp_path, name)
    assert errors(index) == []
    assert [sample.labels for sample in index.samples] == [("cat",)] + [("cat", "dog")] * 7
    assert "several annotations" in warned(index)[0]


def test_min_that_does_not_say_what_is_the_choice(index_of, errors, tmp_path):
    [error] = errors(index_of(tmp_path, minimal(lambda number: {"pet": "cat", "mood": "fine"})(tmp_path)))
    assert "each of pet, mood may be the choice" in error
    assert "JSON-MIN" in error


MISTAKES = {
    "a keypoint": (region("keypointlabels", x=4, y=4, width=1), "type keypointlabels, which is neither"),
    "a vector": (region("vectorlabels", vertices=[]), "type vectorlabels, which is neither"),
    "no label": (region("rectanglelabels", rectanglelabels=[], x=1, y=1, width=5, height=5), "has no label"),
    "a word": (region("rectanglelabels", x="left", y=1, width=5, height=5), "x='left' is not a number"),
    "nothing": (region("rectanglelabels", x=None, y=1, width=5, height=5), "x='None' is not a number"),
    "no size": (region("rectanglelabels", size={}, x=1, y=1, width=5, height=5), "no original_width"),
    "a turned image": (region("rectanglelabels", size=SIZE | {"image_rotation": 90}, x=1, y=1, width=5, height=5),
                       "turned by 90 degrees"),
    "an open polygon": (region("polygonlabels", points=[[1, 1], [2, 2], [1, 2]], closed=False), "not closed"),
    "two points": (region("polygonlabels", points=[[1, 1], [2, 2]]), "a polygon of 2 points"),
    "flat points": (region("polygonlabels", points=[1, 1, 2, 2, 3, 3]), "points is not a list of [x, y]"),
    "a flat ellipse": (region("ellipselabels", x=4, y=4, radiusX=0, radiusY=4), "the radii 0 and"),
    "a short brush": (region("brushlabels", rle=encode_brush(np.ones((HEIGHT, WIDTH), bool))[:-2]), "ends too early"),
    "no brush": (region("brushlabels", rle=[]), "ends too early"),
    "a brush of text": (region("brushlabels", rle="abc"), "not a list of bytes"),
    "a brush of large numbers": (region("brushlabels", rle=[1, 256]), "not a list of bytes"),
    "a brush of another size": (region("brushlabels", rle=encode_brush(np.ones((4, 4), bool))), "has 64 values, not 4"),
    "a huge brush": (region("brushlabels", size=SIZE | {"original_width": 99999}, rle=[0] * 9), "99999"),
    "a list": ([1], "'result' is not a list of JSON objects"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, index_of, errors, tmp_path):
    entry, expected = MISTAKES[name]
    index = index_of(tmp_path, label_studio(change=results(entry))(tmp_path))
    [error] = errors(index)
    assert expected in error
    assert error.startswith("project-1.json: task 0")
    assert len(index.samples) == 8


@pytest.mark.parametrize(("change", "expected"), [
    (lambda tasks: tasks[0].pop("annotations"), "task 0: has no list 'annotations'"),
    (lambda tasks: tasks[0].pop("data"), "task 0: names no image"),
    (lambda tasks: tasks[0].update(data={"image": ["a.png", "b.png"]}), "task 0: names no image"),
    (lambda tasks: tasks.append(5), "task 9: is not a JSON object"),
    (lambda tasks: tasks[0].update(data={"image": "../../etc/a.png"}), "there is no image"),
])
def test_mistakes_of_a_task(change, expected, index_of, errors, tmp_path):
    def changed(tasks):
        change(tasks)
    [error] = errors(index_of(tmp_path, label_studio(change=changed)(tmp_path)))
    assert expected in error


def test_a_count_beyond_the_image_is_an_error():
    content = encode_brush(np.ones((1, 2), bool))
    content[:4] = [0, 0, 0, 4]
    with pytest.raises(ValueError, match="more values"):
        decode_brush(content, 1, 1)


def test_ids_as_text(index_of, errors, tmp_path):
    def change(tasks):
        for task in tasks:
            task["id"] = str(task["id"])
    index = index_of(tmp_path, label_studio(change=change)(tmp_path))
    assert errors(index) == []
    assert first(index).objects[0].source_id == "task 0, region a"
