"""The check of objects: what is cut off, counted, told of in one sum, hashed and split."""

from __future__ import annotations

import json

import object_datasets as sets
import pytest
from told import told

from sightsmith.cli import main
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check


@pytest.fixture
def read(learns, plugins):
    def run(annotation, overrides):
        learns(annotation)
        return check(compose(["task=classification", *overrides], plugins), load_plugins(), lambda line: None)
    return run


def warnings(dataset):
    return "\n".join(str(problem) for problem in told(dataset))


def rows(*more):
    return sets.box_csv(lambda text: text + "".join(f"{row}\n" for row in more))


def test_boxes_a_little_outside_are_cut_off(read, tmp_path):
    dataset = read("boxes", rows("7.png,cat,-0.5,-1,8,8", "7.png,dog,20,15,4.9,5")(tmp_path))
    assert ("2 boxes extend up to 1 px beyond their images and are clipped: label.csv:9, label.csv:10"
            in warnings(dataset))
    sample = next(sample for sample in dataset.index.samples if sample.name == "7.png")
    assert [item.box for item in sample.objects] == [(0, 0, 7.5, 7), (20, 15, 24, 20)]


def test_twins_are_told_of(read, tmp_path):
    dataset = read("boxes", rows("0.png,cat,2,3,8,6.1", "0.png,dog,2,3,8,6", "0.png,cat,2,3,9,6")(tmp_path))
    assert "1 object nearly coincides with another of its class: label.csv:9" in warnings(dataset)


@pytest.mark.parametrize(("more", "told"), [
    (["7.png,cat,1,5,4,4", "7.png,cat,16,5,8,4"], True),
    (["7.png,cat,0,5,4,4", "7.png,cat,16,5,8,4"], False),
    (["7.png,cat,1,5,4,4"], False), (["7.png,cat,1,5,4,4", "7.png,cat,16,5,8,4", "7.png,cat,3.5,5,4,4"], False)])
def test_counting_from_1_is_suspected(more, told, read, tmp_path):
    dataset = read("boxes", rows(*more)(tmp_path))
    assert ("may be counted from 1" in warnings(dataset)) == told


def test_masks_of_no_pixel_are_left_out(read, tmp_path):
    def change(content):
        thin = {"id": 50, "image_id": 7, "category_id": 1, "bbox": [3.1, 3.1, 0.1, 0.1],
                "segmentation": [[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]]}
        content["annotations"].append(thin)
    dataset = read("masks", sets.coco([sets.POLYGON], change)(tmp_path))
    assert "1 mask is empty and ignored: annotations.json (annotation 50)" in warnings(dataset)
    assert next(sample for sample in dataset.index.samples if sample.path.stem == "7").labels == ()


def test_all_problems_at_once(read, tmp_path):
    make = rows("7.png,cat,30,1,8,8", "7.png,dog,1,1,0,5", "6.png,dog,nan,1,2,5", "nothing.png,dog,1,1,2,5")
    with pytest.raises(UserError) as caught:
        read("boxes", make(tmp_path)).raise_for_errors()
    assert sorted(problem.line for problem in caught.value.problems) == [9, 10, 11, 12]


def test_problems_of_masks_are_nothing_to_boxes_nor_those_of_boxes_to_labels(read, tmp_path):
    make = sets.coco([sets.POLYGON], lambda content: content["annotations"][0].update(segmentation=[["x"]]))
    assert not warnings(read("boxes", make(tmp_path / "a")))
    make = sets.coco(change=lambda content: content["annotations"][0].update(bbox=[1, 2]))
    assert not warnings(read("labels", make(tmp_path / "b")))


def test_one_class_is_enough_for_objects(read, tmp_path):
    make = sets.box_csv(lambda text: text.replace("dog", "cat"))
    assert read("boxes", make(tmp_path)).index.classes == ("cat",)


def test_the_hash_tells_annotations_apart(read, tmp_path):
    def digest(annotation, make, name):
        dataset = read(annotation, make(tmp_path / name))
        dataset.raise_for_errors()
        return dataset.data_digest
    boxes = digest("boxes", sets.box_csv(), "a")
    assert boxes == digest("boxes", sets.box_csv(), "b")
    assert boxes != digest("boxes", sets.box_csv(lambda text: text.replace("2,3,8,6", "2,3,8,7", 1)), "c")
    def change(values):
        values[0, 0] = 1
        return values
    masks = digest("masks", sets.masks(), "d")
    assert masks == digest("masks", sets.masks(), "e")
    assert masks != digest("masks", sets.masks(change), "f")
    assert masks != digest("boxes", sets.masks(), "g")


def test_the_same_picture_with_other_objects(read, tmp_path):
    overrides = rows("copy.png,cat,1,1,5,5")(tmp_path)
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    dataset = read("boxes", overrides)
    assert "the same image has different objects: 0.png and copy.png" in warnings(dataset)
    together = [{"0.png", "copy.png"} <= {sample.name for sample in part}
                for part in (dataset.train, dataset.validation)]
    assert sorted(together) == [False, True]


def test_negatives_are_on_both_sides(read, tmp_path):
    overrides = sets.box_csv(lambda text: text + "".join(f"n{number}.png\n" for number in range(8)))(tmp_path)
    for number in range(8):
        sets.picture(tmp_path / f"n{number}.png", 100 + number)
    dataset = read("boxes", [*overrides, "dataset.validation_percentage=25"])
    dataset.raise_for_errors()
    assert sum(not sample.labels for sample in dataset.validation) in (2, 3)


def inspect(overrides, *flags):
    with pytest.raises(SystemExit) as end:
        main(["inspect", "task=classification", *overrides, *flags])
    return end.value.code


def test_inspect_tells_of_objects_and_masks(learns, tmp_path, capsys):
    overrides = sets.mask_csv()(tmp_path)
    learns("masks")
    assert inspect(overrides, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["annotation"] == "masks"
    assert {name: sum(part.values()) for name, part in found["objects"]["classes"].items()} == {"cat": 4, "dog": 3}
    assert found["objects"]["per_image"] == {"mean": 0.88, "median": 1.0, "most": 1}
    assert found["objects"]["box_sides"] == {"smallest": 6.0, "median": 7.0}
    assert found["mask_coverage"] == pytest.approx({"cat": 4 * 48 / (8 * 480), "dog": 3 * 48 / (8 * 480)})
    assert sum(found["negatives"].values()) > 0
    assert inspect(overrides) == 0
    text = capsys.readouterr().out
    assert "mask coverage, cat: 5 %" in text
    assert "training objects" in text
