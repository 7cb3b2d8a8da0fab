"""VIA's files, shapes, attributes and mistakes."""

from __future__ import annotations

import json
import math

import pytest
from object_datasets import BOX, CLASSES, HEIGHT, WIDTH
from tool_datasets import via

from sightsmith.engine.data.masks import decode


def first(index):
    return next(sample for sample in index.samples if sample.path.stem == "0")


def regions(*shapes, attributes=None):
    """The first image has these shapes instead."""
    def change(metadata):
        metadata["0.png1000"]["regions"] = [
            {"shape_attributes": shape, "region_attributes": attributes or {"species": "cat"}} for shape in shapes]
    return change


def each(attributes):
    """The attributes of the region of the image with a number."""
    def change(metadata):
        for number, image in enumerate(metadata.values()):
            for region in image["regions"]:
                region["region_attributes"] = attributes(number)
    return change


@pytest.mark.parametrize("form", ["project", "json", "csv"])
@pytest.mark.parametrize("kind", ["box", "polygon"])
def test_all_its_files(form, kind, index_of, errors, tmp_path):
    index = index_of(tmp_path, via(kind, form=form)(tmp_path))
    assert errors(index) == []
    assert (index.classes, index.annotation) == (CLASSES, "boxes" if kind == "box" else "masks")
    assert [item.box for sample in index.samples for item in sample.objects] == [pytest.approx(BOX)] * 7
    assert len(index.samples) == 8
    assert first(index).objects[0].line == (2 if form == "csv" else None)


def test_regions_of_version_1_and_its_header(index_of, errors, tmp_path):
    def change(metadata):
        for image in metadata.values():
            image["regions"] = {str(number): region for number, region in enumerate(image["regions"])}
    index = index_of(tmp_path / "json", via(change=change, form="json")(tmp_path / "json"))
    assert len(first(index).objects) == 1
    name = via(form="csv")(tmp_path / "csv")
    path = tmp_path / "csv" / "via_export.csv"
    path.write_text(path.read_text().replace("filename,file_size", "#filename,file_size", 1))
    index = index_of(tmp_path / "csv", name)
    assert errors(index) == []
    assert len(first(index).objects) == 1


@pytest.mark.parametrize(("width", "height"), [(-1, 6), (8, -1), (0, 6)])
def test_a_box_of_no_width_or_height_is_not_turned_over(width, height, index_of, errors, tmp_path):
    index = index_of(tmp_path, via(change=regions(
        {"name": "rect", "x": 2, "y": 3, "width": width, "height": height}))(tmp_path))
    [error] = errors(index)
    assert f"it is a box of {width} x {height}; both sides must be positive" in str(error)


def test_circles_and_ellipses(index_of, errors, tmp_path):
    index = index_of(tmp_path, via(change=regions(
        {"name": "circle", "cx": 12, "cy": 10, "r": "5"},
        {"name": "ellipse", "cx": 12, "cy": 10, "rx": 6, "ry": 2, "theta": math.pi / 2}))(tmp_path))
    assert errors(index) == []
    circle, ellipse = first(index).objects
    assert circle.box == pytest.approx((7, 5, 17, 15))
    assert decode(circle.mask, HEIGHT, WIDTH).sum() == pytest.approx(math.pi * 25, rel=0.05)
    assert ellipse.box == pytest.approx((10, 4, 14, 16))


@pytest.mark.parametrize(("attributes", "chosen"), [
    (lambda number: {"species": "cat", "pose": "up"}, "species"),
    (lambda number: {"pose": "up", "Class": "cat"}, "Class"),
    (lambda number: {"pose": "", "species": "cat"}, "species"),
    (lambda number: {"name": "a" if number else "", "species": "cat"}, "species"),
    (lambda number: {"type": "b", "label": "cat"}, "label"),
    (lambda number: {"species": {"cat": True, "dog": False}}, "species"),
    (lambda number: {"species": {"cat": "true"}}, "species"),
])
def test_which_attribute_is_the_class(attributes, chosen, plugins, tmp_path):
    name = via(change=each(attributes))(tmp_path)
    said = []
    index = plugins.dataset_formats[name].make().read(tmp_path, said.append)
    assert said == [f"The class of a region is its attribute {chosen!r}"]
    assert index.classes == ("cat",)
    assert not [problem for problem in index.problems if problem.severity == "error"]


def test_options_of_a_project_are_the_classes_in_order(index_of, tmp_path):
    name = via()(tmp_path)
    content = json.loads((tmp_path / "via.json").read_text())
    content["_via_attributes"]["region"]["species"] = {"options": dict.fromkeys(["fish", "dog", "cat"], "")}
    (tmp_path / "via.json").write_text(json.dumps(content))
    assert index_of(tmp_path, name).classes == ("fish", "dog", "cat")


def test_the_folder_of_a_project(index_of, errors, warned, tmp_path):
    name = via()(tmp_path)
    content = json.loads((tmp_path / "via.json").read_text())
    content["_via_settings"]["core"]["default_filepath"] = "photos/all/"
    (tmp_path / "via.json").write_text(json.dumps(content))
    (tmp_path / "photos").mkdir()
    (tmp_path / "images").rename(tmp_path / "photos" / "all")
    index = index_of(tmp_path, name)
    assert errors(index) + warned(index) == []
    assert first(index).name == "photos/all/0.png"


def test_attributes_of_files_are_labels_beside_regions_only_if_they_are_called_so(index_of, tmp_path):
    def change(metadata):
        for image in metadata.values():
            image["file_attributes"] |= {"light": "dark", "label": {"night": True, "day": False}}
    index = index_of(tmp_path, via(change=change)(tmp_path))
    assert index.classes == ("cat", "dog", "night")
    assert first(index).labels == ("cat", "night")


MISTAKES = {
    "a point": ({"name": "point", "cx": 1, "cy": 1}, "it is a 'point', which is neither"),
    "a line": ({"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "it is a 'polyline'"),
    "nothing": ({}, "it is a 'None'"),
    "no side": ({"name": "rect", "x": 1, "y": 1, "width": 4}, "height='None' is not a number"),
    "a word": ({"name": "rect", "x": "left", "y": 1, "width": 4, "height": 4}, "x='left' is not a number"),
    "too few points": ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, "a polygon of 2 points"),
    "unequal points": ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, "not equally many"),
    "points of words": ({"name": "polygon", "all_points_x": ["a", 2], "all_points_y": [1, 2]}, "not equally many"),
    "no radius": ({"name": "circle", "cx": 9, "cy": 9, "r": 0}, "both must be positive"),
    "theta of words": ({"name": "ellipse", "cx": 9, "cy": 9, "rx": 1, "ry": 2, "theta": "up"}, "theta='up'"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, index_of, errors, tmp_path):
    shape, expected = MISTAKES[name]
    index = index_of(tmp_path, via(change=regions(shape))(tmp_path))
    [error] = errors(index)
    assert expected in error
    assert error.startswith("via.json: 0.png, region 1: ")
    assert len(index.samples) == 8


@pytest.mark.parametrize(("attributes", "expected"), [
    (lambda number: {"species": "cat" if number else ""}, "0.png, region 1: has no 'species', the attribute that is"),
    (lambda number: {} if number == 0 else {"species": "cat"}, "0.png, region 1: has no 'species'"),
    (lambda number: {"species": {"cat": False}} if number == 0 else {"species": {"cat": True}}, "has no 'species'"),
])
def test_regions_without_a_class(attributes, expected, index_of, errors, tmp_path):
    [error] = errors(index_of(tmp_path, via(change=each(attributes))(tmp_path)))
    assert expected in error


def test_no_region_has_a_class(index_of, errors, tmp_path):
    found = errors(index_of(tmp_path, via(change=each(lambda number: {}))(tmp_path)))
    assert len(found) == 7
    assert "has no attribute that could be its class" in found[0]


@pytest.mark.parametrize(("change", "expected"), [
    (lambda text: text.replace('"{""species"": ""cat""}"', "cat", 1), "via_export.csv:2: 'cat' is not a JSON object"),
    (lambda text: text.replace(",region_attributes", ",more", 1), "via_export.csv:1: has no column region_attributes"),
    (lambda text: text.replace('1,0,"{""name', '"{""name', 1), "via_export.csv:2: has 5 columns, not 7"),
    (lambda text: text + '0.png,"x', "via_export.csv:10: is not CSV"),
])
def test_mistakes_of_a_csv(change, expected, index_of, errors, tmp_path):
    name = via(form="csv")(tmp_path)
    path = tmp_path / "via_export.csv"
    path.write_bytes(change(path.read_bytes().decode().replace("\r\n", "\n")).encode())
    assert any(error.startswith(expected) for error in errors(index_of(tmp_path, name)))


@pytest.mark.parametrize(("change", "expected"), [
    (lambda metadata: metadata.update({"9.png9": 4}), "via.json: 9.png9: is not an image with 'filename' and"),
    (lambda metadata: metadata["0.png1000"].update(regions=4), "via.json: 0.png1000: is not an image with"),
    (lambda metadata: metadata["0.png1000"].pop("filename"), "via.json: 0.png1000: names no image"),
    (lambda metadata: metadata.clear(), "via.json: has no image"),
])
def test_mistakes_of_a_json(change, expected, index_of, errors, tmp_path):
    def changed(metadata):
        change(metadata)
    found = errors(index_of(tmp_path, via(change=changed)(tmp_path)))
    assert [error.startswith(expected) for error in found] == [True]
