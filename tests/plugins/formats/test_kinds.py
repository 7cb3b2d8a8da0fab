"""Data sets as tools and people really write them: the values that were meant, whatever their spelling."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import object_datasets as sets
import pytest
from broken_datasets import picture
from object_datasets import BOX, label
from PIL import Image

from sightsmith.core.config.compose import compose
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.load_dataset import check


@pytest.fixture
def read(learns, plugins):
    """The checked data set, and the lines and problems that a user reads."""
    def run(annotation, overrides, errors=False):
        learns(annotation)
        lines = []
        dataset = check(compose(["task=classification", *overrides], plugins), load_plugins(), lines.append)
        if not errors:
            dataset.raise_for_errors()
        return dataset, "\n".join([*lines, *map(str, dataset.problems)])
    return run


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
    ("labelme moved", "1 path of images did not exist as written and was matched by the ending: '../shots/0.png' (0.p"),
    ("coco with a parent category", "one class of the annotation has no image and is left out: animals"),
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


def voc_lists(**files):
    def step(root):
        folder = root / "ImageSets" / "Main"
        folder.mkdir(parents=True)
        for name, lines in files.items():
            (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return step


def splits(dataset):
    parts = {"train": dataset.train, "validation": dataset.validation}
    return {name: sorted(int(sample.path.stem) for sample in samples) for name, samples in parts.items()}


@pytest.mark.parametrize("entry", ["{}", "{} 1", "JPEGImages/{}.jpg", "./JPEGImages/{}.jpg", "{}.jpg",
                                   "VOC2012/JPEGImages/{}"])
def test_lists_of_images_in_any_spelling(entry, read, tmp_path):
    given = voc_lists(train=[entry.format(number) for number in (0, 1, 4, 5)],
                      val=[entry.format(number) for number in (2, 3, 6, 7)],
                      trainval=[entry.format(number) for number in range(8)])
    dataset, _ = read("boxes", [*then(sets.voc(), given)(tmp_path), "dataset.min_images_per_class=1"])
    assert splits(dataset) == {"train": [0, 1, 4, 5], "validation": [2, 3, 6, 7]}


@pytest.mark.parametrize(("files", "used", "told"), [
    ({"trainval": range(6), "test": (6, 7)}, range(6), "2 images of the test split"),
    ({"train": (0, 1, 2, 4, 5, 6)}, (0, 1, 2, 4, 5, 6), "2 images are in no list and are ignored"),
    ({"val": (2, 6)}, range(8), "the other 6 are used for training"),
    ({"test": (3, 7)}, (0, 1, 2, 4, 5, 6), "2 images of the test split"),
])
def test_some_lists_alone(files, used, told, read, tmp_path):
    make = then(sets.voc(), voc_lists(**files))
    dataset, text = read("boxes", [*make(tmp_path), "dataset.min_images_per_class=1"])
    found = splits(dataset)
    assert sorted(found["train"] + found["validation"]) == list(used)
    assert told in text
    if "val" in files:
        assert found["validation"] == [2, 6]


def test_a_list_of_unknown_names_is_an_error(read, tmp_path):
    make = then(sets.voc(), voc_lists(train=["a", "b"], val=["c"]))
    _, text = read("boxes", make(tmp_path), errors=True)
    assert "ImageSets/Main/train.txt:1: 2 of its lines do not name an annotated image, such as 'a'" in text


def test_files_of_splits_are_told_by_whole_words(read, tmp_path):
    sets.coco()(tmp_path)
    whole = json.loads((tmp_path / "annotations.json").read_text())
    (tmp_path / "annotations.json").unlink()

    def write(name, numbers):
        kept = {"images": [item for item in whole["images"] if item["id"] in numbers],
                "annotations": [item for item in whole["annotations"] if item["image_id"] in numbers]}
        (tmp_path / f"{name}.json").write_text(json.dumps(whole | kept))

    write("instances_train2017", (0, 1, 4, 5))
    write("instances_val2017", (2, 3, 6, 7))
    write("instances_trainval", range(8))
    arguments = [f"dataset.root={tmp_path}", "dataset.min_images_per_class=1"]
    dataset, text = read("boxes", arguments)
    assert splits(dataset) == {"train": [0, 1, 4, 5], "validation": [2, 3, 6, 7]}
    assert "instances_trainval.json: is not named after training, validation or test" in text
    for path in tmp_path.glob("*.json"):
        path.unlink()
    write("birds_interval", (0, 1, 4, 5))
    write("birds_constrained", (2, 3, 6, 7))
    found = splits(read("boxes", arguments)[0])
    assert sorted(found["train"] + found["validation"]) == list(range(8))


GREY = {
    "three equal channels": sets.masks(save=lambda values: Image.fromarray(np.stack([values] * 3, -1))),
    "opaque": sets.masks(save=lambda values: Image.fromarray(np.dstack([values] * 3 + [np.full_like(values, 255)]))),
    "_mask": then(sets.masks(), lambda root: [path.rename(path.with_stem(f"{path.stem}_mask"))
                                              for path in list((root / "masks").iterdir())]),
    "Cityscapes": then(sets.masks(), lambda root: [
        path.rename(path.with_stem(f"{path.stem}{'_leftImg8bit' if folder == 'images' else '_gtFine_labelIds'}"))
        for folder in ("images", "masks") for path in list((root / folder).iterdir())],
        lambda root: picture(root / "masks" / "0_gtFine_color.png", 99)),
    "unused class": sets.masks(names="cat\ndog\nowl\n"),
}


@pytest.mark.parametrize("name", GREY)
def test_the_masks_that_were_meant(name, read, tmp_path):
    dataset, _ = read("masks", GREY[name](tmp_path))
    assert dataset.index.classes == ("cat", "dog")
    assert len(dataset.index.samples) == 8
    for sample in dataset.index.samples:
        number = int(sample.path.stem[0])
        assert sample.labels == ((label(number),) if label(number) else ())


def test_edges_that_a_lossy_format_has_blurred_are_no_classes(read, tmp_path):
    (tmp_path / "masks").mkdir()
    for number in range(8):
        picture(tmp_path / "images" / f"{number}.png", number, (120, 100))
        mask, file = np.zeros((100, 120), np.uint8), io.BytesIO()
        mask[20 + number:80, 21:90] = 255
        Image.fromarray(mask).save(file, "JPEG", quality=60)
        Image.open(file).save(tmp_path / "masks" / f"{number}.png")
    _, text = read("masks", [f"dataset.root={tmp_path}"], errors=True)
    assert "most of them in a few pixels only: 255" in text


def test_white_masks_among_numbered_ones_are_told(read, tmp_path):
    sets.masks(names=None, change=lambda values: np.uint8(values > 0) * 255)(tmp_path)
    _, text = read("masks", [f"dataset.root={tmp_path}"])
    assert "1 semantic masks have 255, which is ignored, and no class: masks/0.png" in text


def test_masks_without_any_class_are_an_error(read, tmp_path):
    sets.masks(names=None, save=lambda values: Image.fromarray(values * 0))(tmp_path)
    _, text = read("masks", [f"dataset.root={tmp_path}"], errors=True)
    assert "there is no class to learn: all masks are background" in text


def classes(root, folder, names=("cat", "dog"), first=0, count=4):
    for place, name in enumerate(names):
        for number in range(count):
            picture(root / folder / name / f"{number}.png", first + 10 * place + number)


@pytest.mark.parametrize(("folders", "split", "tested"), [
    (("train",), None, 0), (("images",), None, 0), (("pets/train", "pets/val"), (8, 8), 0),
    (("training_set", "test_set"), None, 8), (("Train", "Validation", "test"), (8, 8), 8),
    (("train2017", "val2017"), (8, 8), 0),
])
def test_folders_of_splits_are_no_classes(folders, split, tested, read, tmp_path):
    for place, folder in enumerate(folders):
        classes(tmp_path, folder, first=100 * place)
    dataset, text = read("labels", [f"dataset.root={tmp_path}"])
    assert dataset.index.classes == ("cat", "dog")
    assert (f"{tested} images of the test split" in text) == bool(tested)
    if split is not None:
        assert (len(dataset.train), len(dataset.validation)) == split
    else:
        assert len(dataset.index.samples) == 8


def test_classes_that_sound_like_splits_stay_classes(read, tmp_path):
    classes(tmp_path, ".", names=("test_tube", "train station", "valve"))
    assert read("labels", [f"dataset.root={tmp_path}"])[0].index.classes == ("test_tube", "train station", "valve")


def test_training_and_test_images_are_not_told_apart_by_a_classifier(read, tmp_path):
    classes(tmp_path, ".", names=("train", "test"))
    with pytest.raises(UserError, match="contains no data set of a known format"):
        read("labels", [f"dataset.root={tmp_path}"])


def test_an_empty_class_folder_of_validation_is_a_warning(read, tmp_path):
    classes(tmp_path, "train", names="abc")
    classes(tmp_path, "val", names="ac", first=100)
    (tmp_path / "val" / "b").mkdir()
    dataset, text = read("labels", [f"dataset.root={tmp_path}"])
    assert "val/b: the class folder has no images" in text
    assert len(dataset.validation) == 8


def test_classes_that_differ_in_spelling_alone_are_told(read, tmp_path):
    classes(tmp_path, ".", names=("Cat", "cat ", "dog"))
    _, text = read("labels", [f"dataset.root={tmp_path}"])
    assert "the classes 'Cat' and 'cat ' are spelt alike" in text


def test_runs_are_no_data(read, tmp_path):
    classes(tmp_path, ".")
    run = tmp_path / "runs" / "2026-01-31_12-00-00-pets"
    run.mkdir(parents=True)
    for name in ("status.json", "plan.json"):
        (run / name).write_text("{}")
    picture(run / "example.png", 50)
    dataset, text = read("labels", [f"dataset.root={tmp_path}"])
    assert dataset.index.classes == ("cat", "dog")
    assert "1 folders of runs are not data and are left out: runs" in text


def test_a_folder_of_the_system_is_passed_over(read, tmp_path):
    classes(tmp_path, ".")
    (tmp_path / "lost+found").mkdir()
    picture(tmp_path / "@eaDir" / "cat.png", 60)
    assert read("labels", [f"dataset.root={tmp_path}"])[0].index.classes == ("cat", "dog")


ONE_HOT = "path,cat,dog\n" + "".join(f"{number}.png,{int(number < 4)},{int(number >= 3)}\n" for number in range(8))


def test_a_table_of_zeros_and_ones_has_a_class_a_column(read, tmp_path):
    sets.pictures(tmp_path)
    (tmp_path / "label.csv").write_text(ONE_HOT)
    dataset, _ = read("labels", [f"dataset.root={tmp_path}"])
    assert dataset.index.multi_label
    assert {sample.name: sample.labels for sample in dataset.index.samples}["3.png"] == ("cat", "dog")


@pytest.mark.parametrize("head", ["path,class", "picture,breed", "id,label"])
def test_a_header_is_told_from_a_row_whose_image_is_missing(head, read, tmp_path):
    sets.pictures(tmp_path)
    rows = "".join(f"{number}.png,{'cat' if number < 4 else 'dog'}\n" for number in range(8))
    (tmp_path / "label.csv").write_text(f"{head}\n{rows}")
    dataset, text = read("labels", [f"dataset.root={tmp_path}"])
    assert f"label.csv:1: the first row is read as the header: {head}" in text
    assert len(dataset.index.samples) == 8
    (tmp_path / "label.csv").write_text(f"gone.png,cat\n{rows}")
    assert "label.csv:1: there is no image 'gone.png'" in read("labels", [f"dataset.root={tmp_path}"], errors=True)[1]
