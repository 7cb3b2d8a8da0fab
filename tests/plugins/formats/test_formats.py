"""Every format read right: classes, labels, split, and why it was taken."""

from __future__ import annotations

import base64
import json
import os
import zipfile

import numpy as np
import pytest
from broken_datasets import GOOD_ROWS, MULTI_ROWS, coco, folders, labelme, picture, table
from PIL import Image
from told import told
from volume_files import nifti

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check


def read(*overrides):
    said = []
    dataset = check(compose(["task=classification", *overrides], load_plugins()), load_plugins(), said.append)
    return dataset, "\n".join(said)


def labels(dataset):
    return {sample.name: sample.labels for sample in dataset.index.samples}


def warnings(dataset):
    return [str(problem) for problem in told(dataset)]


@pytest.mark.parametrize("top", ["", "Classes", "classes"])
def test_class_folders(tmp_path, top):
    folders(tmp_path, (("cat", 5), ("dog", 5), ("class10", 3), ("class9", 3)), top)
    picture(tmp_path / top / "cat" / "deep" / "er" / "x.jpg", 99)
    (tmp_path / top / "cat" / "notes.txt").write_text("x")
    dataset, said = read(f"dataset.root={tmp_path}")
    assert dataset.index.format == "class_folders"
    assert "class_folders" in said
    assert dataset.index.classes == ("cat", "class9", "class10", "dog")
    assert labels(dataset)[f"{top}/cat/deep/er/x.jpg".lstrip("/")] == ("cat",)
    assert len(dataset.index.samples) == 17
    [warning] = warnings(dataset)
    assert "notes.txt" in warning


def test_train_val_folders_keep_their_split(tmp_path):
    train = folders(tmp_path, top="train")
    folders(tmp_path, top="val", first=900)
    picture(tmp_path / "test" / "cat" / "t.png", 777)
    dataset, _ = read(f"dataset.root={tmp_path}")
    assert dataset.index.format == "train_val_folders"
    assert {sample.path for sample in dataset.train} == {path.resolve() for path in train}
    assert len(dataset.validation) == 8
    assert any("1 image of the test split" in warning for warning in warnings(dataset))


@pytest.mark.parametrize("rows", [
    GOOD_ROWS, GOOD_ROWS.replace("\n", "\r\n"), "\ufeff" + GOOD_ROWS, GOOD_ROWS.rstrip("\n"),
    "\n" + GOOD_ROWS.replace(",", " , "), GOOD_ROWS.replace(".png", ""), GOOD_ROWS.replace("0.png", "./0.png"),
], ids=["plain", "CRLF", "BOM", "no last newline", "spaces", "stems", "dot"])
def test_label_csv_single(tmp_path, rows):
    dataset, said = read(*table(tmp_path, rows))
    assert dataset.index.format == "label_csv"
    assert "label.csv" in said
    assert not dataset.index.multi_label
    assert labels(dataset) == {f"{number}.png": ("cat" if number < 4 else "dog",) for number in range(8)}
    assert warnings(dataset) == []


def test_label_csv_of_older_sets(tmp_path):
    dataset, _ = read(*table(tmp_path, GOOD_ROWS.replace(".png", ""), folder="image"))
    assert set(labels(dataset)) == {f"image/{number}.png" for number in range(8)}
    assert warnings(dataset) == []


def test_label_csv_numeric_names_stay_text(tmp_path):
    rows = GOOD_ROWS.replace("cat", '"001"').replace("dog", '"010"')
    dataset, _ = read(*table(tmp_path, rows))
    assert dataset.index.classes == ("001", "010")


def test_label_csv_latin_names(tmp_path):
    rows = GOOD_ROWS.replace("cat", "Kätzchen").encode("latin-1")
    dataset, _ = read(*table(tmp_path, rows))
    assert "Kätzchen" in dataset.index.classes
    assert any("label.csv:1: is not UTF-8" in warning for warning in warnings(dataset))


def test_label_csv_left_out_images_and_path_only_rows(tmp_path):
    dataset, _ = read(*table(tmp_path, GOOD_ROWS + "8.png\n", images=11))
    assert len(dataset.index.samples) == 8
    text = "\n".join(warnings(dataset))
    assert "label.csv:9: the image has no class and is ignored" in text
    assert "2 images have no row and are ignored: 9.png, 10.png" in text


def test_label_csv_multi(tmp_path):
    dataset, _ = read(*table(tmp_path, MULTI_ROWS + "8.png\n", images=9))
    assert dataset.index.multi_label
    assert labels(dataset)["0.png"] == ("blue",)
    assert labels(dataset)["1.png"] == ("red",)
    assert labels(dataset)["8.png"] == ()
    assert warnings(dataset) == []


def test_label_csv_multi_missing_rows_are_zero(tmp_path):
    dataset, _ = read(*table(tmp_path, MULTI_ROWS.replace("0.png,blue,1\n", "")))
    assert labels(dataset)["0.png"] == ()
    assert any("no row for some classes, which are read as 0: 0.png" in text for text in warnings(dataset))


def test_labelme_single_and_multi(tmp_path):
    dataset, _ = read(*labelme(lambda content: None)(tmp_path / "one"))
    assert dataset.index.format == "labelme"
    assert not dataset.index.multi_label
    assert labels(dataset)["0.png"] == ("cat",)
    def spoil(content):
        content["shapes"].append({"label": "dog", "points": []})
        content["flags"] = {"blurred": True, "dark": False}
    dataset, _ = read(*labelme(spoil)(tmp_path / "many"), "dataset.min_images_per_class=1")
    assert dataset.index.multi_label
    assert labels(dataset)["0.png"] == ("blurred", "cat", "dog")


def test_labelme_with_embedded_images(tmp_path):
    plain, _ = read(*labelme(lambda content: None)(tmp_path))
    for number in (0, 5):
        picture = tmp_path / f"{number}.png"
        path = picture.with_suffix(".json")
        content = json.loads(path.read_text()) | {"imageData": base64.b64encode(picture.read_bytes()).decode()}
        path.write_text(json.dumps(content))
        picture.unlink()
    # The file wins over what is embedded.
    path = tmp_path / "1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"imageData": content["imageData"]}))
    dataset, _ = read(f"dataset.root={tmp_path}")
    dataset.raise_for_errors()
    assert dataset.data_digest == plain.data_digest
    assert not (tmp_path / "0.png").exists()


def test_labelme_in_a_folder_of_its_own(tmp_path):
    labelme(lambda content: None)(tmp_path)
    (tmp_path / "json").mkdir()
    for number in range(8):
        path = tmp_path / f"{number}.json"
        content = json.loads(path.read_text()) | {"imagePath": f"..\\{number}.png"}
        (tmp_path / "json" / path.name).write_text(json.dumps(content))
        path.unlink()
    dataset, _ = read(f"dataset.root={tmp_path}")
    dataset.raise_for_errors()
    assert set(labels(dataset)) == {f"{number}.png" for number in range(8)}


def test_coco_single_and_multi(tmp_path):
    dataset, _ = read(*coco(lambda content: None)(tmp_path / "one"))
    assert dataset.index.format == "coco"
    assert dataset.index.classes == ("cat", "dog")
    assert not dataset.index.multi_label
    assert labels(dataset)["images/3.png"] == ("dog",)
    dataset, _ = read(*coco(lambda content: content["annotations"].pop())(tmp_path / "negative"))
    assert dataset.index.multi_label
    assert labels(dataset)["images/7.png"] == ()


def test_coco_with_a_split(tmp_path):
    for side, first in (("train2017", 0), ("val2017", 100)):
        content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}
        for number in range(6):
            picture(tmp_path / side / f"{first + number}.png", first + number)
            content["images"].append({"id": number, "file_name": f"{first + number}.png"})
            content["annotations"].append({"id": number, "image_id": number, "category_id": 1 + number % 2})
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"instances_{side}.json").write_text(json.dumps(content))
    dataset, _ = read(f"dataset.root={tmp_path}")
    dataset.raise_for_errors()
    assert {sample.name.split("/")[0] for sample in dataset.train} == {"train2017"}
    assert {sample.name.split("/")[0] for sample in dataset.validation} == {"val2017"}


def write_coco(root, names):
    """A file for all folders."""
    (root / "annotations.json").write_text(json.dumps({
        "images": [{"id": name, "file_name": name} for name in names],
        "annotations": [{"id": number, "image_id": name, "category_id": number % 2}
                        for number, name in enumerate(names)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]}))


def write_roboflow(root, names):
    """A COCO file in each folder."""
    for folder in {name.split("/")[0] for name in names}:
        write_coco(root / folder, [name.split("/")[1] for name in names if name.startswith(folder)])
        (root / folder / "annotations.json").rename(root / folder / "_annotations.coco.json")


def write_labelme(root, names):
    for number, name in enumerate(names):
        (root / name).with_suffix(".json").write_text(json.dumps({
            "imagePath": name.split("/")[1], "shapes": [], "flags": {["cat", "dog"][number % 2]: True}}))


def write_csv(root, names):
    (root / "label.csv").write_text("".join(f"{name},{['cat', 'dog'][number % 2]}\n"
                                            for number, name in enumerate(names)))


@pytest.mark.parametrize("write", [write_coco, write_roboflow, write_labelme, write_csv])
def test_folders_of_images_are_the_split(tmp_path, write):
    names = [f"{folder}/{folder}{number}.png" for folder in ("train", "valid", "test") for number in range(6)]
    for seed, name in enumerate(names):
        picture(tmp_path / name, seed)
    write(tmp_path, names)
    dataset, _ = read(f"dataset.root={tmp_path}")
    dataset.raise_for_errors()
    assert {sample.name for sample in dataset.train} == set(names[:6])
    assert {sample.name for sample in dataset.validation} == set(names[6:12])
    assert any("6 images of the test split" in warning for warning in warnings(dataset))


@pytest.mark.parametrize(("written", "file"), [
    ("a_1{}.png", b"a (1{}).png"), ("caf\xe9{}.png", b"caf\xe9{}.png"), ("a{}.nii.gz", b"a{}.nii"),
    ("a{}.nii", b"a{}.png"), ("b/a{}.nrrd", b"a{}.nii")],
    ids=["as an upload", "of Windows", "unpacked", "converted", "another kind of volume"])
def test_names_that_a_tool_or_another_machine_has_changed(tmp_path, written, file):
    for number in range(8):
        path = tmp_path / os.fsdecode(file.replace(b"{}", b"%d" % number))
        if path.suffix == ".nii":
            nifti(path, np.full((20, 20, 1), number, np.uint8))
        else:
            Image.open(picture(tmp_path / "x.png", number)).save(path)
            (tmp_path / "x.png").unlink()
    (tmp_path / "label.csv").write_bytes("".join(f"{written.format(number)},{['cat', 'dog'][number % 2]}\n"
                                                 for number in range(8)).encode("cp1252"))
    dataset, _ = read(f"dataset.root={tmp_path}")
    dataset.raise_for_errors()
    assert len(dataset.train) + len(dataset.validation) == 8


def test_a_name_that_no_upload_has_is_not_matched_by_what_it_would_become(tmp_path):
    for number in range(8):
        picture(tmp_path / f"a_{number}.png", number)
    write_csv(tmp_path, [f"a ({number}).png" for number in range(8)])
    with pytest.raises(UserError, match=r"there is no image 'a \(0\).png'"):
        read(f"dataset.root={tmp_path}")[0].raise_for_errors()


def test_zips_in_a_folder_are_named(tmp_path):
    for name in ("task_1.zip", "task_2.zip"):
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(UserError) as caught:
        read(f"dataset.root={tmp_path}")
    assert "unpack its zips, each into a folder of its own: task_1.zip, task_2.zip" in str(caught.value.hint)


@pytest.mark.parametrize("inner", ["", "photos/"])
def test_a_zip_of_any_of_them(tmp_path, inner):
    folders(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((tmp_path / "set").rglob("*.png")):
            archive.write(path, inner + path.relative_to(tmp_path / "set").as_posix())
    first, _ = read(f"dataset.root={tmp_path / 'set.zip'}")
    again, _ = read(f"dataset.root={tmp_path / 'set.zip'}")
    plain, _ = read(f"dataset.root={tmp_path / 'set'}")
    assert first.data_digest == again.data_digest == plain.data_digest
    assert first.split_digest == plain.split_digest
