"""Datumaro's groups, masks, subsets and mistakes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from object_datasets import BOX, CLASSES, HEIGHT, WIDTH, mask
from tool_datasets import datumaro

from sightsmith.engine.data.masks import decode, encode


def first(index):
    return next(sample for sample in index.samples if sample.path.stem == "0")


def annotations(*found):
    """The first item has these annotations instead."""
    def change(content):
        content["items"][0]["annotations"] = [
            annotation if not isinstance(annotation, dict) else {"label_id": 0, **annotation} for annotation in found]
    return change


def test_boxes_and_ellipses_that_are_turned(index_of, errors, tmp_path):
    """As CVAT exports them: the shape before it is turned, and the angle among the attributes."""
    index = index_of(tmp_path, datumaro(change=annotations(
        {"type": "bbox", "bbox": [6, 7, 8, 4], "attributes": {"rotation": 90.0}},
        {"type": "ellipse", "points": [6, 7, 18, 13], "attributes": {"rotation": "90"}},
        {"type": "bbox", "bbox": [6, 7, 8, 4], "attributes": {"rotation": 0.0, "occluded": False}},
        {"type": "bbox", "bbox": [0, 0, 8, 4], "attributes": {"rotation": 45}}))(tmp_path))
    assert errors(index) == []
    turned, ellipse, plain, cut = first(index).objects
    assert turned.box == pytest.approx((8, 5, 12, 13)) and ellipse.box == pytest.approx((9, 4, 15, 16))
    assert plain.box == (6, 7, 14, 11) and min(cut.box) >= 0
    [error] = errors(index_of(tmp_path / "b", datumaro(change=annotations(
        {"type": "bbox", "bbox": [6, 7, 8, 4], "attributes": {"rotation": "left"}}))(tmp_path / "b")))
    assert "it is turned by 'left', which is not a number" in error


def test_masks_and_ellipses(index_of, errors, tmp_path):
    counts = encode(mask()).counts.decode()
    index = index_of(tmp_path, datumaro(change=annotations(
        {"type": "mask", "rle": {"counts": counts, "size": [HEIGHT, WIDTH]}},
        {"type": "mask", "rle": {"counts": [0, HEIGHT * WIDTH], "size": [str(HEIGHT), WIDTH]}},
        {"type": "ellipse", "points": [6, 7, 18, 13]},
        {"type": "caption", "caption": "a pet"}))(tmp_path))
    assert errors(index) == []
    compressed, plain, ellipse = first(index).objects
    assert np.array_equal(decode(compressed.mask, HEIGHT, WIDTH), mask())
    assert compressed.box == BOX
    assert plain.box == (0, 0, WIDTH, HEIGHT)
    assert ellipse.box == pytest.approx((6, 7, 18, 13))
    assert decode(ellipse.mask, HEIGHT, WIDTH).sum() == pytest.approx(math.pi * 18, rel=0.05)


def test_groups_crowds_and_the_stack(index_of, errors, tmp_path):
    index = index_of(tmp_path, datumaro(change=annotations(
        {"type": "polygon", "points": [0, 0, 4, 0, 4, 4], "group": 3, "z_order": 1},
        {"type": "bbox", "bbox": [0, 0, 9, 9], "group": 3},
        {"type": "polygon", "points": [6, 6, 9, 6, 9, 9], "group": "3", "z_order": 1},
        {"type": "polygon", "points": [6, 6, 9, 6, 9, 9], "group": 3, "z_order": 1, "label_id": "1"},
        {"type": "bbox", "bbox": [1, 1, 2, 2], "attributes": {"is_crowd": "True"}}))(tmp_path))
    assert errors(index) == []
    found = [(item.label, item.box, item.crowd, len(item.mask.rings)) for item in first(index).objects]
    assert found == [("cat", (1, 1, 3, 3), True, 1), ("cat", (0, 0, 9, 9), False, 2), ("dog", (6, 6, 9, 9), False, 1)]


def test_subsets_are_splits_and_folders(index_of, errors, warned, tmp_path):
    def part(numbers):
        def change(content):
            content["items"] = [item for item in content["items"] if int(item["id"]) in numbers]
        return change
    datumaro(change=part(range(5)), name="train")(tmp_path)
    datumaro(change=part(range(5, 8)), name="val")(tmp_path)
    for number, path in enumerate(sorted((tmp_path / "images").iterdir())):
        subset = "train" if number < 5 else "val"
        (tmp_path / "images" / subset).mkdir(exist_ok=True)
        path.rename(tmp_path / "images" / subset / path.name)
    index = index_of(tmp_path, "datumaro")
    assert errors(index) + warned(index) == []
    assert [sample.split for sample in index.samples] == ["train"] * 5 + ["validation"] * 3
    assert index.classes == CLASSES


def test_an_item_without_a_path_is_called_after_its_id(index_of, errors, tmp_path):
    def change(content):
        for number, item in enumerate(content["items"]):
            item["image"] = {} if number % 2 else None
            item["media"] = {"path": ""} if number % 2 else {"path": f"{number}.png"}
    index = index_of(tmp_path, datumaro(change=change)(tmp_path))
    assert errors(index) == []
    assert len(index.samples) == 8


MISTAKES = {
    "points": ({"type": "points", "points": [1, 1]}, "it is of the type 'points', which is neither"),
    "no type": ({}, "it is of the type 'None'"),
    "a list as type": ({"type": ["bbox"]}, "it is of the type \"['bbox']\""),
    "three sides": ({"type": "bbox", "bbox": [1, 2, 3]}, "bbox=[1, 2, 3] is not a list of 4 numbers"),
    "words": ({"type": "bbox", "bbox": "1,2,3,4"}, "bbox=1,2,3,4 is not a list of 4 numbers"),
    "two points": ({"type": "polygon", "points": [1, 1, 2, 2]}, "a polygon of 2 points"),
    "no points": ({"type": "polygon"}, "points=None is not a list of numbers"),
    "a flat ellipse": ({"type": "ellipse", "points": [1, 1, 1, 4]}, "both must be positive"),
    "no rle": ({"type": "mask"}, "rle has no size [height, width] and counts"),
    "a damaged rle": ({"type": "mask", "rle": {"counts": "\x00", "size": [HEIGHT, WIDTH]}}, "are damaged"),
    "a short rle": ({"type": "mask", "rle": {"counts": [1, 2], "size": [HEIGHT, WIDTH]}}, "do not fill"),
    "a huge rle": ({"type": "mask", "rle": {"counts": [], "size": [10 ** 9, 10 ** 9]}},
                   "it is 1000000000 x 1000000000 pixels"),
    "no label": ({"type": "bbox", "bbox": [1, 2, 3, 4], "label_id": None}, "'bbox' has no label_id from 0 to 1"),
    "another label": ({"type": "label", "label_id": 7}, "of type 'label' has no label_id from 0 to 1"),
    "a negative label": ({"type": "label", "label_id": -1}, "of type 'label' has no label_id from 0 to 1"),
    "half a crowd": ({"type": "bbox", "bbox": [1, 2, 3, 4], "attributes": {"is_crowd": "some"}}, "neither true nor"),
    "a number": (5, "the annotation has no label_id"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, index_of, errors, tmp_path):
    annotation, expected = MISTAKES[name]
    index = index_of(tmp_path, datumaro(change=annotations(annotation))(tmp_path))
    [error] = errors(index)
    assert expected in error
    assert error.startswith("annotations/default.json: item 0, annotation 1: ")
    assert len(index.samples) == 8


@pytest.mark.parametrize(("change", "expected"), [
    (lambda content: content["categories"].clear(), "has no list 'items', or no list 'labels'"),
    (lambda content: content.update(items={}), "has no list 'items', or no list 'labels'"),
    (lambda content: content["items"].append(4), "item 9: is not an item"),
    (lambda content: content["items"][0].update(annotations=4), "item 0: is not an item"),
    (lambda content: content["items"].append({"annotations": []}), "item 9: names no image"),
    (lambda content: content["categories"]["label"]["labels"].append({}), "label 2 has no name of its own: {}"),
    (lambda content: content["categories"]["label"]["labels"].append({"name": "cat"}), "label 2 has no name"),
])
def test_mistakes_of_a_file(change, expected, index_of, errors, tmp_path):
    def changed(content):
        change(content)
    [error] = errors(index_of(tmp_path, datumaro(change=changed)(tmp_path)))
    assert error.startswith("annotations/default.json: ")
    assert expected in error
