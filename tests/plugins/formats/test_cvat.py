"""CVAT's shapes, subsets and mistakes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from object_datasets import HEIGHT, WIDTH
from tool_datasets import cvat, elsewhere

from sightsmith.engine.data.masks import decode


def first(index):
    return next(sample for sample in index.samples if sample.path.stem == "0")


def filled(item):
    return decode(item.mask, HEIGHT, WIDTH)


def shape(text):
    """The first image's shape is ``text`` instead."""
    def change(content):
        start, end = content.index("<box"), content.index("</box>") + len("</box>")
        return content[:start] + text + content[end:]
    return change


def test_a_mask(index_of, tmp_path):
    rle = '<mask label="cat" occluded="0" rle="1, 2, 0, 3" left="5" top="4" width="3" height="2" z_order="0"/>'
    item = first(index_of(tmp_path, cvat(change=shape(rle))(tmp_path))).objects[0]
    assert np.argwhere(filled(item)).tolist() == [[4, 6], [4, 7], [5, 5], [5, 6], [5, 7]]
    assert item.box == (5, 4, 8, 6)


def test_turned_boxes_and_ellipses(index_of, errors, tmp_path):
    text = ('<box label="cat" xtl="4" ytl="8" xbr="16" ybr="12" rotation="90"/>'
            '<ellipse label="cat" cx="12" cy="10" rx="6" ry="3"/>'
            '<ellipse label="cat" cx="12" cy="10" rx="6" ry="3" rotation="90.0"/>')
    index = index_of(tmp_path, cvat(change=shape(text))(tmp_path))
    assert errors(index) == []
    upright, flat, turned = first(index).objects
    assert upright.box == pytest.approx((8, 4, 12, 16))
    assert filled(upright).sum() == pytest.approx(48, abs=4)
    assert flat.box == pytest.approx((6, 7, 18, 13))
    assert turned.box == pytest.approx((9, 4, 15, 16))
    assert filled(flat).sum() == pytest.approx(math.pi * 18, rel=0.05)


def test_angles_are_clockwise(index_of, tmp_path):
    text = '<box label="cat" xtl="4" ytl="9" xbr="16" ybr="11" rotation="30"/>'
    values = filled(first(index_of(tmp_path, cvat(change=shape(text))(tmp_path))).objects[0])
    rows, columns = np.nonzero(values)
    assert np.corrcoef(rows, columns)[0, 1] > 0.9  # further right is further down


def test_what_is_turned_beyond_the_edge_is_cut_off(index_of, checked, tmp_path):
    text = ('<box label="cat" xtl="-2" ytl="2" xbr="10" ybr="8" rotation="45"/>'
            '<ellipse label="cat" cx="0" cy="10" rx="5" ry="5"/>')
    name = cvat(change=shape(text))(tmp_path)
    turned, half = first(checked(tmp_path, name, "masks").index).objects
    assert min(turned.box) >= 0
    assert half.box == pytest.approx((0, 5, 5, 15))
    assert filled(half).sum() == pytest.approx(math.pi * 12.5, rel=0.1)


def test_outside_shapes_crowds_and_the_stack(index_of, tmp_path):
    text = ('<box label="dog" xtl="1" ytl="1" xbr="5" ybr="5" z_order="2" outside="0"/>'
            '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5" outside="1"/>'
            '<box label="cat" xtl="2" ytl="1" xbr="5" ybr="5" z_order="1">'
            '<attribute name="is_crowd">true</attribute></box>')
    items = first(index_of(tmp_path, cvat(change=shape(text))(tmp_path))).objects
    assert [(item.label, item.box[0], item.crowd) for item in items] == [("cat", 2, True), ("dog", 1, False)]


def test_subsets_are_splits_and_folders(index_of, errors, warned, tmp_path):
    def change(content):
        for number, subset in enumerate(["Train"] * 5 + ["Validation"] * 2 + ["Test"]):
            content = content.replace(f'name="{number}.png"', f'name="{number}.png" subset="{subset}"')
            (tmp_path / "images" / subset).mkdir(exist_ok=True)
            (tmp_path / "images" / f"{number}.png").rename(tmp_path / "images" / subset / f"{number}.png")
        return content
    index = index_of(tmp_path, cvat(change=change)(tmp_path))
    assert errors(index) + warned(index) == []
    assert [sample.split for sample in index.samples] == ["train"] * 5 + ["validation"] * 2 + ["test"]
    assert index.samples[-1].name == "images/Test/7.png"


def test_a_tag_beside_boxes_is_no_object(index_of, checked, tmp_path):
    text = '<tag label="dog"/><box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    name = cvat(change=shape(text))(tmp_path)
    assert first(index_of(tmp_path, name)).labels == ("cat", "dog")
    assert first(checked(tmp_path, name, "boxes").index).labels == ("cat",)


def test_several_files_and_sublabels(index_of, tmp_path):
    cvat(path=elsewhere)(tmp_path)
    text = (tmp_path / "annotations.xml").read_text()
    cut = text.index('<image id="4"')
    (tmp_path / "task_1.xml").write_text(text[:cut] + "</annotations>")
    start = text.index("<image")
    (tmp_path / "task_2.xml").write_text(text[:start].replace(
        "</labels>", "<label><name>nose</name><parent>dog</parent></label></labels>") + text[cut:])
    (tmp_path / "annotations.xml").unlink()
    index = index_of(tmp_path, "cvat")
    assert len(index.samples) == 8
    assert index.classes == ("cat", "dog")


BOX = '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"'
MISTAKES = {
    "a point": ('<points label="cat" points="1,1"/>', "<points> of 'cat': it is a points, which is neither"),
    "no label": ('<box xtl="1" ytl="1" xbr="5" ybr="5"/>', "<box> has no label"),
    "another label": (f"{BOX} />".replace("cat", "cart"), "the label 'cart' is not one of the 2 in <labels>. Did"),
    "no side": ('<box label="cat" xtl="1" ytl="1" xbr="5"/>', "ybr='' is not a number"),
    "a word": (f"{BOX} />".replace('"1"', '"left"', 1), "xtl='left' is not a number"),
    "an angle of words": (f'{BOX} rotation="up"/>', "rotation='up' is not a number"),
    "an endless angle": (f'{BOX} rotation="inf"/>', "it is turned by inf degrees"),
    "outside of words": (f'{BOX} outside="perhaps"/>', "outside='perhaps' is neither 0 nor 1"),
    "an unknown shape": ('<circle label="cat" r="4"/>', "<circle> is not a CVAT shape"),
    "two points": ('<polygon label="cat" points="1,1;2,2"/>', "a polygon of 2 points"),
    "points of three": ('<polygon label="cat" points="1,1,1;2,2,2;3,3,3"/>', "is not x,y;x,y;..."),
    "points of words": ('<polygon label="cat" points="a,b;2,2;3,3"/>', "is not x,y;x,y;..."),
    "a flat ellipse": ('<ellipse label="cat" cx="9" cy="9" rx="0" ry="3"/>', "the radii 0 and 3"),
    "an ellipse far away": ('<ellipse label="cat" cx="900" cy="9" rx="2" ry="3"/>', "lies outside the image"),
    "a short mask": ('<mask label="cat" rle="1,2" left="1" top="1" width="2" height="2"/>', "do not fill 2 x 2 px"),
    "a negative run": ('<mask label="cat" rle="-1,5" left="1" top="1" width="2" height="2"/>', "do not fill 2 x 2 px"),
    "a huge mask": ('<mask label="cat" rle="1" left="0" top="0" width="999999" height="999999"/>', "too large"),
    "a mask of words": ('<mask label="cat" rle="x" left="1" top="1" width="2" height="2"/>', "not a list of whole"),
    "a mask without a place": ('<mask label="cat" rle="0,4" top="1" width="2" height="2"/>', "left='' is not a whole"),
    "a mask beyond": ('<mask label="cat" rle="0,4" left="23" top="1" width="2" height="2"/>', "beyond the image of 24"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, index_of, errors, tmp_path):
    text, expected = MISTAKES[name]
    index = index_of(tmp_path, cvat(change=shape(text))(tmp_path))
    [error] = errors(index)
    assert expected in error
    assert error.startswith("annotations.xml:9: ")
    assert len(index.samples) == 8


@pytest.mark.parametrize(("change", "expected"), [
    (lambda text: text.replace("<image id=\"0\"", '<track id="0" label="cat"/><image id="0"'), "CVAT for images 1.1"),
    (lambda text: text.replace(' name="0.png"', ""), "names no image"),
    (lambda text: text.replace("</annotations>", ""), "is not XML"),
    (lambda text: text.replace("utf-8", "utf-9"), "is not XML: unknown encoding: utf-9"),
    (lambda text: text.replace(' name="0.png"', ' name="../../secret.png"'), "there is no image"),
    (lambda text: text.replace("<annotations>", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations>"), "declares an entity"),
])
def test_mistakes_of_the_file(change, expected, index_of, errors, tmp_path):
    index = index_of(tmp_path, cvat(change=change)(tmp_path))
    assert [expected in error for error in errors(index)] == [True]


def test_a_mask_needs_the_size_of_its_image(index_of, errors, tmp_path):
    rle = '<mask label="cat" rle="0, 4" left="5" top="4" width="2" height="2"/>'
    make = cvat(change=lambda text: shape(rle)(text).replace(f'width="{WIDTH}"', 'width="0"'))
    assert "the <image> has no width and height" in errors(index_of(tmp_path, make(tmp_path)))[0]
