"""Data sets as tools and people really write them: lists and folders of splits, masks, tables of labels."""

from __future__ import annotations

import io
import json

import numpy as np
import object_datasets as sets
import pytest
from broken_datasets import picture
from object_datasets import label
from PIL import Image
from test_kinds import then

from sightsmith.core.util.errors import UserError


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
    ({"train": (0, 1, 2, 4, 5, 6)}, (0, 1, 2, 4, 5, 6), "2 images are in no list and ignored"),
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
    assert "1 semantic mask has 255, which is ignored, and no class: masks/0.png" in text


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


@pytest.mark.parametrize("folder", ["", "train/"])
def test_an_empty_class_folder_is_one_problem(read, tmp_path, folder):
    classes(tmp_path, folder or ".", names="ac")
    if folder:
        classes(tmp_path, "val", names="ac", first=100)
    (tmp_path / folder / "b").mkdir()
    (tmp_path / folder / "b" / "notes.txt").touch()
    dataset, _ = read("labels", [f"dataset.root={tmp_path}"], errors=True)
    about = [str(problem) for problem in dataset.problems if "b" in (problem.file or problem.message).split("/")]
    assert about == [f"{folder}b: the class folder has no images, but 1 other file: {folder}b/notes.txt\n"
                     "      add images to it, or remove it"]


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
    assert "1 folder of a run is left out: runs" in text


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


def test_a_class_that_is_only_tested_is_told_and_trains_without(read, tmp_path):
    for number, place in enumerate(("train/cat", "train/dog", "val/cat", "val/dog", "test/cat", "test/fox")):
        picture(tmp_path / place / f"{number}.png", number)
    dataset, text = read("labels", [f"dataset.root={tmp_path}", "dataset.min_images_per_class=1"])
    assert dataset.index.classes == ("cat", "dog")
    assert "the class 'fox' is in the test split only" in text
    assert "2 images of the test split are not used for training" in text
