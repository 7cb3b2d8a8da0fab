"""Data sets as tools and people really write them: the values that were meant, whatever their spelling."""

from __future__ import annotations

import json
import shutil

import object_datasets as sets
import pytest
from broken_datasets import picture
from object_datasets import BOX, label

from sightsmith.core.util.errors import UserError


def each(key, change):
    def changed(content):
        for entry in content[key]:
            entry |= change(entry)
    return changed


def then(make, *steps):
    """The data set of ``make``, after ``steps`` on its folder."""
    def made(root):
        overrides = make(root)
        for step in steps:
            step(root)
        return overrides
    return made


def texts(pattern, change):
    """Changes every text file of ``pattern``."""
    def step(root):
        for path in root.glob(pattern):
            path.write_text(change(path.read_text()))
    return step


def moved(old, new):
    return lambda root: (root / new).parent.mkdir(parents=True, exist_ok=True) or (root / old).rename(root / new)


def lists(template):
    """YOLO's splits as lists of images."""
    def step(root):
        for side in ("train", "val"):
            names = sorted(path.name for path in (root / "images" / side).iterdir())
            (root / "lists").mkdir(exist_ok=True)
            (root / "lists" / f"{side}.txt").write_text("".join(template.format(f"{side}/{name}", root=root) + "\n"
                                                              for name in names))
        (root / "data.yaml").write_text("train: lists/train.txt\nval: lists/val.txt\nnames: [cat, dog]\n")
    return step


def darknet(root):
    (root / "obj_train_data").mkdir()
    for path in [*root.glob("images/*/*"), *root.glob("labels/*/*")]:
        path.rename(root / "obj_train_data" / path.name)
    shutil.rmtree(root / "images")
    shutil.rmtree(root / "labels")
    (root / "obj.names").write_text("cat\ndog\n")
    (root / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    (root / "train.txt").write_text("".join(f"data/obj_train_data/{number}.jpg\n" for number in range(8)))


def labels_beside(root):
    for path in [*root.glob("images/*/*"), *root.glob("labels/*/*")]:
        path.rename(root / path.name)
    (root / "classes.txt").write_text("cat\ndog\n")


def header(line, row):
    return then(sets.box_csv(), texts("label.csv", lambda text: line + "\n" + "".join(
        f"{row.format(number=number, label=label(number))}\n" for number in range(7))))


def names(pattern):
    return sets.coco(change=each("images", lambda image: {"file_name": pattern.format(image["file_name"])}))


BOXES = {
    "coco ids as text": sets.coco(change=lambda content: (
        each("categories", lambda item: {"id": str(item["id"])})(content),
        each("annotations", lambda item: {"category_id": f"{item['category_id']}", "iscrowd": None})(content))),
    "coco ids as floats": sets.coco(change=lambda content: (
        each("images", lambda item: {"id": float(item["id"])})(content),
        each("annotations", lambda item: {
            "image_id": float(item["image_id"]), "category_id": float(item["category_id"])})(content))),
    "coco ids are names": sets.coco(change=lambda content: (
        each("images", lambda item: {"id": f"img_{item['id']}"})(content),
        each("annotations", lambda item: {"image_id": f"img_{item['image_id']}"})(content))),
    "coco text of another type": sets.coco(change=each("annotations", lambda item: {
        "category_id": str(item["category_id"])})),
    "coco crowds as text": sets.coco(change=each("annotations", lambda item: {"iscrowd": "0"})),
    "coco crowds as words": sets.coco(change=each("annotations", lambda item: {"iscrowd": "false"})),
    "coco boxes as text": sets.coco(change=each("annotations", lambda item: {"bbox": ["2", "3.0", " 8", "6e0"]})),
    "coco with a parent category": sets.coco(change=lambda content: content["categories"].insert(
        0, {"id": 77, "name": "animals", "supercategory": "none"})),
    "coco with 78 unused categories": sets.coco(change=lambda content: content["categories"].extend(
        {"id": number, "name": f"thing {number}"} for number in range(2, 80))),
    "coco UTF-16": then(sets.coco(), lambda root: (root / "annotations.json").write_bytes(
        (root / "annotations.json").read_text().encode("utf-16"))),
    "coco in annotation/": then(sets.coco(), moved("annotations.json", "annotation/birds.json")),
    "coco in labels/": then(sets.coco(), moved("annotations.json", "labels/coco.json")),
    "coco of FiftyOne": then(sets.coco(), moved("annotations.json", "labels.json"), moved("images", "data")),
    "coco called latest": then(sets.coco(), moved("annotations.json", "annotations_latest.json")),
    "coco of Windows": names("C:\\data\\shots\\{}"),
    "coco of Unix": names("/home/anna/project/images/{}"),
    "coco of a server": names("https://example.org/x/{}?token=1%2F2"),
    "coco with blanks encoded": then(names("a%20b-{}"), lambda root: [
        path.rename(path.with_name(f"a b-{path.name}")) for path in (root / "images").iterdir()]),
    "coco with a folder below": then(sets.coco(), lambda root: [
        moved(f"images/{number}.png", f"images/batch_1/{number}.png")(root) for number in range(8)]),
    "coco in capitals": then(sets.coco(), lambda root: [
        path.rename(path.with_suffix(".PNG")) for path in (root / "images").iterdir()]),
    "coco of older files": sets.coco(change=each("images", lambda image: {
        "file_name": image["file_name"].replace(".png", ".jpg")})),
    "labelme of Windows": sets.labelme(change=lambda content: content.update(imagePath="C:\\shots\\0.png")),
    "labelme moved": sets.labelme(change=lambda content: content.update(imagePath="../shots/0.png")),
    "labelme of an older file": sets.labelme(change=lambda content: content.update(imagePath="0.jpg")),
    "labelme beside settings": then(sets.labelme(), lambda root: (root / "settings.json").write_text('{"theme": 1}')),
    "labelme rectangle of four": sets.labelme(points=((2, 3), (10, 3), (10, 9), (2, 9))),
    "voc from another corner": sets.voc(change=lambda text: text.replace("<xmin>3", "<xmin> 3.0 ")),
    "yolo by commas": then(sets.yolo(), texts("labels/*/*.txt", lambda text: text.strip().replace(" ", ", ") + "\n")),
    "yolo keys as text": sets.yolo(yaml="train: images/train\nval: images/val\nnames: {'0': cat, '1': dog}\n"),
    "yolo .TXT": then(sets.yolo(), lambda root: [path.rename(path.with_suffix(".TXT"))
                                                 for path in list(root.glob("labels/*/*"))]),
    "yolo lists from this machine": then(sets.yolo(), lists("{root}/images/{}")),
    "yolo lists from another": then(sets.yolo(), lists("/home/anna/pets/images/{}")),
    "yolo lists beside": then(sets.yolo(), lists("./../images/{}")),
    "yolo of CVAT": then(sets.yolo(yaml=None), darknet),
    "yolo of LabelImg": then(sets.yolo(yaml=None), labels_beside),
    "yolo unzipped twice": then(sets.yolo(), lambda root: [
        moved(name, f"pets/{name}")(root) for name in ("images", "labels", "data.yaml")]),
    "label_csv of TensorFlow": header("filename,width,height,class,xmin,ymin,xmax,ymax",
                                      "{number}.png,24,20,{label},2,3,10,9"),
    "label_csv in another order": header("label,x,y,w,h,image", "{label},2,3,8,6,{number}.png"),
    "label_csv by semicolons": then(sets.box_csv(), texts("label.csv", lambda text: text.replace(",", ";"))),
    "label_csv of pandas": header(",filename,class,x_left,y_top,width,height", "{number},{number}.png,{label},2,3,8,6"),
}


@pytest.mark.parametrize("name", BOXES)
def test_the_boxes_that_were_meant(name, read, tmp_path):
    dataset, _ = read("boxes", [*BOXES[name](tmp_path), "dataset.min_images_per_class=1"])
    assert dataset.index.classes == ("cat", "dog")
    assert dataset.index.format == name.split()[0]
    found = {int(sample.path.stem.rpartition("-")[2]): sample for sample in dataset.index.samples}
    assert set(found) >= set(range(7))
    for number in range(7):
        item = found[number].objects[0]
        assert (item.label, item.crowd) == (label(number), False)
        assert item.box == pytest.approx(BOX, abs=1e-6)


@pytest.mark.parametrize(("name", "told"), [
    ("coco of Windows", "8 paths of images did not exist as written and were matched by the ending"),
    ("labelme moved", "1 path of an image did not exist as written and was matched by the ending: '../shots/0.png'"),
    ("coco with a parent category", "1 class of the annotation has no image and is left out: animals"),
    ("labelme beside settings", "settings.json: is not a LabelMe file"),
    ("label_csv of TensorFlow", "label.csv:1: the first row is read as the header: filename,width"),
])
def test_what_was_guessed_is_said(name, told, read, tmp_path):
    _, text = read("boxes", [*BOXES[name](tmp_path), "dataset.min_images_per_class=1"])
    assert told in text


def test_unused_classes_are_kept_when_asked(read, tmp_path):
    overrides = BOXES["coco with a parent category"](tmp_path)
    dataset, _ = read("boxes", [*overrides, "dataset.min_images_per_class=0"])
    assert dataset.index.classes == ("animals", "cat", "dog")


WRONG = {
    "crowd of neither": (sets.coco(change=each("annotations", lambda item: {"iscrowd": "maybe"})),
                         "annotations.json: the annotation 0: iscrowd is 'maybe', not 0 or 1"),
    "entries that are none": (sets.coco(change=lambda content: content["annotations"].append("lost")),
                              "annotations.json: 1 entries of 'annotations' are not JSON objects, such as 'lost'"),
    "two images fit": (then(sets.coco(), lambda root: [
        moved(f"images/{number}.png", f"images/a/{number}.png")(root) for number in range(8)],
        lambda root: shutil.copytree(root / "images/a", root / "images/b")),
        "'0.png' could be images/a/0.png, images/b/0.png"),
    "corners": (sets.coco(change=each("annotations", lambda item: {"bbox": [14, 11, 22, 17]})),
                "as two corners x1, y1, x2, y2 all would fit"),
    "a key twice": (then(sets.coco(), texts("annotations.json", lambda text: text.replace(
        '"iscrowd": 0', '"iscrowd": 0, "iscrowd": 1', 1))), "the key 'iscrowd' is given twice"),
    "a flag of neither": (sets.labelme(change=lambda content: content.update(flags={"blurred": "perhaps"})),
                          "0.json: the flag 'blurred' is 'perhaps', neither true nor false"),
    "decimal commas": (sets.yolo("0,25 0,3 0,33 0,3"), "labels/train/0.txt:1"),
    "no names": (sets.yolo(yaml="train: images/train\nval: images/val\nnc: 2\n"), "data.yaml: has no 'names'"),
    "counted from 1": (then(sets.yolo(), texts("labels/*/*.txt", lambda text: text.replace("1 0.25", "2 0.25"))),
                       "the class 2 is none of the 2 in data.yaml, which are numbered from 0 to 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_meant_is_said(name, read, tmp_path):
    make, told = WRONG[name]
    dataset, text = read("boxes", make(tmp_path), errors=True)
    assert told in text
    with pytest.raises(UserError):
        dataset.raise_for_errors()


def test_a_list_of_results_is_named(read, tmp_path):
    for number in range(4):
        picture(tmp_path / "images" / f"{number}.png", number)
    (tmp_path / "results.json").write_text(json.dumps([
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    with pytest.raises(UserError, match=r"results\.json: is a list of COCO's results, which are predictions"):
        read("boxes", [f"dataset.root={tmp_path}"])


def test_annotation_of_the_tasks_own_kind_is_preferred(read, tmp_path):
    sets.masks()(tmp_path)
    sets.coco()(tmp_path)
    dataset, text = read("boxes", [f"dataset.root={tmp_path}"])
    assert dataset.index.format == "coco"
    assert "It would also fit mask_folders" in text
    assert "dataset.format=mask_folders" in text
    assert read("masks", [f"dataset.root={tmp_path}"])[0].index.format == "mask_folders"


def test_a_format_without_the_annotation_gives_way_to_one_that_has_it(read, tmp_path):
    sets.masks()(tmp_path)
    (tmp_path / "label.csv").write_text("".join(f"images/{number}.jpg,cat\n" for number in range(8)))
    assert read("labels", [f"dataset.root={tmp_path}"], errors=True)[0].index.format == "label_csv"
    assert read("masks", [f"dataset.root={tmp_path}"])[0].index.format == "mask_folders"
