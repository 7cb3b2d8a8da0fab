"""Boxes and masks of every format read right, against values known by construction."""

from __future__ import annotations

import base64
import io
import json
import math

import numpy as np
import object_datasets as sets
import pytest
from broken_datasets import picture
from object_datasets import BOX, HEIGHT, WIDTH, label, mask
from PIL import Image

from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.masks import decode, encode, semantic_map
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.pipeline.load_dataset import check

RUNS = {"size": [HEIGHT, WIDTH], "counts": [43, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 14, 6, 291]}
COMPRESSED = {"size": [HEIGHT, WIDTH], "counts": encode(mask()).counts.decode()}


@pytest.fixture
def read(learns, plugins):
    def run(annotation, overrides):
        learns(annotation)
        dataset = check(compose(["task=classification", *overrides], plugins), load_plugins(), lambda line: None)
        dataset.raise_for_errors()
        return dataset
    return run


def by_number(dataset):
    return {int(sample.path.stem): sample for sample in dataset.index.samples}


def warnings(dataset):
    return [str(problem) for problem in dataset.problems]


BOXES = {
    "label_csv": sets.box_csv(), "label_csv with decimals": sets.csv("2.0,3.0,8.0,6.0"),
    "label_csv of a spreadsheet": sets.box_csv(lambda text: text.replace("7.png\n", "7.png,,,,,\n")),
    "coco": sets.coco(), "labelme": sets.labelme(), "labelme from below": sets.labelme(points=((10, 9), (2, 3))),
    "voc": sets.voc(), "voc plain": sets.voc(plain=True), "voc from 0": sets.voc(
        lambda text: text.replace("</object>", "</object><object><name>cat</name><bndbox><xmin>0</xmin><ymin>0</ymin>"
                                  "<xmax>1</xmax><ymax>1</ymax></bndbox></object>"), box=(2, 3, 10, 9)),
    "yolo": sets.yolo(),
}
MASKS = {
    "label_csv": sets.mask_csv(), "coco polygons": sets.coco([sets.POLYGON]), "coco runs": sets.coco(RUNS),
    "coco compressed": sets.coco(COMPRESSED),
    "labelme": sets.labelme("polygon", ((2, 3), (10, 3), (10, 9), (2, 9))), "yolo": sets.yolo(sets.YOLO_POLYGON),
}
MAPS = {
    "grey": sets.masks(), "palette": sets.masks(save=sets.palette), "labels": sets.masks(folder="labels"),
    "annotations": sets.masks(folder="annotations"), "with background": sets.masks(names="background\ncat\ndog"),
    "16 bits": sets.masks(save=lambda values: Image.fromarray(values.astype(np.uint16))),
    "voc": sets.voc_masks(),
}


@pytest.mark.parametrize("name", BOXES)
def test_boxes(name, read, tmp_path):
    dataset = read("boxes", BOXES[name](tmp_path))
    assert dataset.index.annotation == "boxes"
    assert dataset.index.classes == ("cat", "dog")
    assert dataset.index.format == name.split()[0]
    found = by_number(dataset)
    assert len(found) == 8
    for number, sample in found.items():
        assert sample.labels == ((label(number),) if label(number) else ())
        if label(number):
            item = sample.objects[0]
            assert (item.label, item.mask, item.crowd) == (label(number), None, False)
            assert item.box == pytest.approx(BOX, abs=1e-6)
            assert item.line or item.source_id
        else:
            assert sample.objects == ()


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("annotation", ["masks", "boxes", "labels"])
def test_masks_and_what_they_become(name, annotation, read, tmp_path):
    dataset = read(annotation, MASKS[name](tmp_path))
    assert dataset.index.annotation == annotation
    assert dataset.index.multi_label == (annotation == "labels")  # the last image has none
    for number, sample in by_number(dataset).items():
        assert sample.labels == ((label(number),) if label(number) else ())
        assert len(sample.objects) == (annotation != "labels" and number < 7)
        for item in sample.objects:
            assert item.box == pytest.approx(BOX, abs=1e-6)
            if annotation == "masks":
                assert np.array_equal(decode(item.mask, HEIGHT, WIDTH), mask())
                painted = semantic_map(sample, dataset.index.classes, HEIGHT, WIDTH)
                assert np.array_equal(painted, sets.class_values(number))
            else:
                assert item.mask is None


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("annotation", ["masks", "boxes", "labels"])
def test_maps_and_what_they_become(name, annotation, read, tmp_path):
    dataset = read(annotation, MAPS[name](tmp_path))
    assert dataset.index.format == ("voc_masks" if name == "voc" else "mask_folders")
    assert dataset.index.classes == ("cat", "dog")
    found = by_number(dataset)
    assert len(found) == (7 if name == "voc" else 8)
    for number, sample in found.items():
        assert sample.labels == ((label(number),) if label(number) else ())
        if annotation == "masks":
            assert np.array_equal(semantic_map(sample, ("cat", "dog"), HEIGHT, WIDTH), sets.class_values(number))
        else:
            assert sample.semantic_mask is None
            boxes = [(item.label, item.box) for item in sample.objects]
            assert boxes == ([(label(number), BOX)] if label(number) and annotation == "boxes" else [])


def test_values_are_classes_where_nothing_names_them(read, tmp_path):
    dataset = read("masks", sets.masks(names=None)(tmp_path))
    assert dataset.index.classes == ("1", "2")


def test_255_is_ignored_and_a_region_falls_into_objects(read, tmp_path):
    def change(values):
        values[15:18, 1:4] = 1
        values[0, :] = 255
        return values
    overrides = sets.masks(change)(tmp_path)
    painted = semantic_map(by_number(read("masks", overrides))[0], ("cat", "dog"), HEIGHT, WIDTH)
    assert (painted[0] == 255).all()
    assert sorted(item.box for item in by_number(read("boxes", overrides))[0].objects) == [(1, 15, 4, 18), BOX]


@pytest.mark.parametrize("names", [None, "cell\n"])
def test_black_and_white_masks(names, read, tmp_path):
    make = sets.masks(names=names, save=lambda values: Image.fromarray((values > 0).astype(np.uint8) * 255))
    dataset = read("masks", make(tmp_path))
    assert dataset.index.classes == ("cell" if names else "255",)
    assert np.array_equal(semantic_map(by_number(dataset)[0], dataset.index.classes, HEIGHT, WIDTH), mask())
    assert any("black and white" in text for text in warnings(dataset))


@pytest.mark.parametrize(("file", "table"), [
    ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncat,0,0,128\ndog,0,64,0\nvoid,9,9,9\n"),
    ("label_colors.txt", "0 0 0 background\n0 0 128\tcat\n0 64 0 dog\n9 9 9 Void\n"),
    ("labelmap.txt", "# label:color_rgb:parts\nbackground:0,0,0::\ncat:0,0,128::\ndog:0,64,0::\nvoid:9,9,9::\n"),
])
def test_colour_masks_with_a_table(file, table, read, tmp_path):
    colours = np.array([(0, 0, 0), (0, 0, 128), (0, 64, 0), (9, 9, 9)], np.uint8)
    def change(values):
        values[0, 0] = 3
        return values
    overrides = sets.masks(change, names=None, save=lambda values: Image.fromarray(colours[values]))(tmp_path)
    (tmp_path / file).write_text(table)
    dataset = read("masks", overrides)
    assert dataset.index.classes == ("cat", "dog")
    expected = sets.class_values(0)
    expected[0, 0] = 255
    assert np.array_equal(semantic_map(by_number(dataset)[0], ("cat", "dog"), HEIGHT, WIDTH), expected)


def test_masks_with_a_given_split(read, tmp_path):
    for side, numbers in (("train", range(5)), ("val", range(5, 8)), ("test", [9])):
        for number in numbers:
            picture(tmp_path / side / "images" / f"{number}.jpg", number)
            (tmp_path / side / "masks").mkdir(exist_ok=True)
            Image.fromarray(np.full((20, 24), 1, np.uint8)).save(tmp_path / side / "masks" / f"{number}.png")
    dataset = read("masks", [f"dataset.root={tmp_path}"])
    assert dataset.index.format == "mask_folders"
    assert {sample.name.split("/")[0] for sample in dataset.validation} == {"val"}
    assert len(dataset.train) == 5
    assert dataset.coverage == {"1": 1.0}


def test_images_without_a_mask_are_left_out(read, tmp_path):
    overrides = sets.masks()(tmp_path)
    (tmp_path / "masks" / "7.png").rename(tmp_path / "masks" / "9.png")
    dataset = read("masks", overrides)
    assert len(dataset.index.samples) == 7
    assert "1 image has no semantic mask and is ignored: images/7.jpg" in "\n".join(warnings(dataset))
    assert "1 semantic mask has no image: masks/9.png" in "\n".join(warnings(dataset))


def test_boxes_that_cvat_has_turned_in_coco(read, tmp_path):
    def change(content):
        for annotation in content["annotations"]:
            annotation["attributes"] = {"occluded": False, "rotation": 90.0 if annotation["id"] == 0 else 0.0}

    found = by_number(read("boxes", sets.coco(change=change)(tmp_path)))
    assert found[0].objects[0].box == pytest.approx((3, 2, 9, 10)) and found[1].objects[0].box == BOX


def test_coco_crowds(read, tmp_path):
    def change(content):
        content["annotations"][0]["iscrowd"] = 1
        content["annotations"].append(content["annotations"][0] | {"id": 50, "bbox": [0, 0, 4, 4], "iscrowd": 0,
                                                                   "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]})
    dataset = read("masks", sets.coco(RUNS, change)(tmp_path))
    sample = by_number(dataset)[0]
    assert [item.crowd for item in sample.objects] == [True, False]
    painted = semantic_map(sample, ("cat", "dog"), HEIGHT, WIDTH)
    expected = np.where(mask(), 255, 0)
    expected[:4, :4] = 1
    assert np.array_equal(painted, expected)
    assert describe(dataset, ImageConfig())["objects"]["crowds"] == 1


def test_labelme_circles_and_masks(read, tmp_path):
    def change(content):
        cut = io.BytesIO()
        Image.fromarray(np.array([[255, 0, 255], [255, 255, 255]], np.uint8)).save(cut, "PNG")
        content["shapes"] = [
            {"label": "cat", "shape_type": "circle", "points": [[12, 10], [17, 10]]},
            {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [4, 5]], "group_id": 3},
            {"label": "cat", "shape_type": "mask", "points": [[20, 15], [22, 16]],
             "mask": base64.b64encode(cut.getvalue()).decode()}]
    dataset = read("masks", sets.labelme("polygon", ((2, 3), (10, 3), (10, 9)), change)(tmp_path))
    circle, rectangle, cut = by_number(dataset)[0].objects
    assert circle.box == (7, 5, 17, 15)
    assert decode(circle.mask, HEIGHT, WIDTH).sum() == pytest.approx(math.pi * 25, rel=0.05)
    assert decode(rectangle.mask, HEIGHT, WIDTH).sum() == 12
    assert np.argwhere(decode(cut.mask, HEIGHT, WIDTH)).tolist() == [[15, 20], [15, 22], [16, 20], [16, 21], [16, 22]]


def test_labelme_rectangles_are_boxes_only_and_flags_no_objects(read, tmp_path):
    dataset = read("boxes", sets.labelme(change=lambda content: content.update(flags={"blurred": True}))(tmp_path))
    assert dataset.index.classes == ("cat", "dog")
    assert by_number(dataset)[0].labels == ("cat",)


def test_voc_with_lists_and_difficult_objects(read, tmp_path):
    overrides = sets.voc(lambda text: text.replace("<difficult>0", "<difficult>1"))(tmp_path)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("0\n1\n2\n4\n5\n")
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("3\n6\n")
    dataset = read("boxes", overrides)
    assert {sample.path.stem for sample in dataset.train} == set("01245")
    assert {sample.path.stem for sample in dataset.validation} == set("36")
    assert by_number(dataset)[0].objects[0].crowd
    assert by_number(dataset)[0].labels == ()
    assert "1 image is in no split" in "\n".join(warnings(dataset))


def test_voc_says_how_it_counts(read, tmp_path):
    dataset = read("boxes", BOXES["voc from 0"](tmp_path))
    assert any("0-based" in text for text in warnings(dataset))


def test_voc_chooses_among_images_of_one_stem_by_its_filename(read, tmp_path):
    overrides = sets.voc(plain=True)(tmp_path)
    picture(tmp_path / "0.png", 77)
    assert by_number(read("boxes", overrides))[0].path.suffix == ".jpg"


def test_yolo_names_and_folders(read, tmp_path):
    text = "train: ../train/images\nval: ../valid/images\nnames:\n  0: cat\n  1: dog\n"
    overrides = sets.yolo(yaml=text)(tmp_path)
    for side, given in (("train", "train"), ("val", "valid")):
        for kind in ("images", "labels"):
            (tmp_path / given).mkdir(exist_ok=True)
            (tmp_path / kind / side).rename(tmp_path / given / kind)
    dataset = read("boxes", overrides)
    assert {sample.path.stem for sample in dataset.validation} == {"3", "6"}
    assert by_number(dataset)[0].objects[0].box == pytest.approx(BOX, abs=1e-6)
    assert any("1 image has no label file" in text for text in warnings(dataset))


def test_yolo_with_lists_of_images(read, tmp_path):
    overrides = sets.yolo(yaml="train: train.txt\nval: val.txt\nnames: [cat, dog]\n")(tmp_path)
    for side in ("train", "val"):
        names = sorted(path.name for path in (tmp_path / "images" / side).iterdir())
        (tmp_path / f"{side}.txt").write_text("".join(f"./images/{side}/{name}\n" for name in names))
    dataset = read("boxes", overrides)
    assert len(dataset.train) == 6
    assert len(dataset.validation) == 2


def test_yolo_without_a_yaml(read, tmp_path):
    overrides = sets.yolo(yaml=None)(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = read("boxes", overrides)
    assert dataset.index.format == "yolo"
    assert {sample.path.stem for sample in dataset.validation} == {"3", "6"}


@pytest.mark.parametrize(("make", "format"), [
    (sets.yolo(), "yolo"), (sets.masks(), "mask_folders"), (sets.voc(), "voc"), (sets.voc_masks(), "voc_masks"),
    (sets.box_csv(), "label_csv"), (sets.voc(plain=True), "voc")])
def test_auto_takes_them_for_labels_too(make, format, read, tmp_path):
    overrides = make(tmp_path)
    dataset = read("labels", overrides)
    assert dataset.index.format == format
    assert dataset.reason
    assert describe(dataset, ImageConfig())["annotation"] == "labels"
    assert "objects" not in describe(dataset, ImageConfig())
    json.dumps(describe(dataset, ImageConfig()))
