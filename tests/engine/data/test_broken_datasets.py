"""Every broken data set gets its message and exit code 2; none a traceback, and nothing is written beside it."""

from __future__ import annotations

import pytest
from broken_datasets import BROKEN, folders
from broken_object_datasets import BROKEN as BROKEN_OBJECTS
from command_line import within

from sightsmith.cli import main
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.check import check_dataset
from sightsmith.engine.data.statistics import in_words
from sightsmith.engine.pipeline.load_dataset import check

ALL = {name: ("labels", *given) for name, given in BROKEN.items()} | BROKEN_OBJECTS


@pytest.mark.parametrize("name", ALL)
def test_a_broken_data_set_is_answered(name, tmp_path, capsys, monkeypatch, learns):
    annotation, make, expected = ALL[name]
    learns(annotation)
    root = tmp_path / "set"
    overrides = make(root)
    before = sorted(path for path in tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["inspect", "task=classification", *overrides])
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert end.value.code == 2, text
    assert "Traceback" not in text
    for fragment in expected:
        assert fragment in text
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 40
    assert len(BROKEN_OBJECTS) >= 30
    assert len(ALL) == len(BROKEN) + len(BROKEN_OBJECTS)


@pytest.mark.parametrize(("name", "problems"), [
    ("COCO without categories", ["has no list 'categories'"]),
    ("YOLO: a name of YAML's own", ["YAML reads the name of class 0 as bool"]),
    ("masks: colours", ["7 semantic masks are in colour"]),
    ("empty class name", ["label.csv:8: the class is empty"]),
    ("empty table", ["the table is empty"]),
])
def test_the_cause_is_told_without_its_consequences(name, problems, tmp_path, plugins):
    annotation, make, _ = ALL[name]
    config = compose(["task=classification", *make(tmp_path / "set")], plugins)
    found = check_dataset(config, list(plugins.dataset_formats.values()), [], annotation, tmp_path / "cache").problems
    found = [str(item) for item in found if "has no label file" not in item.message]  # true of that set, too
    assert len(found) == len(problems) and all(map(str.__contains__, found, problems)), found


def unreadable(root, cats, dogs, broken):
    folders(root, (("cat", cats), ("dog", dogs)))
    for path in sorted((root / "dog").iterdir())[:broken]:
        path.write_text("no image")
    return f"dataset.root={root}"


@pytest.mark.parametrize(("dogs", "broken", "overrides", "says"), [
    (5, 3, [], None),  # three dogs and more, once the images are replaced
    (3, 2, ["dataset.min_images_per_class=4"], "the class 'dog' has 1 image; at least 4 are needed"),
    (5, 3, ["dataset.on_bad_image=skip"], "the class 'dog' has 2 images, and 3 that cannot be used; at least 3"),
    (4, 4, [], None),
])
def test_what_unreadable_images_take_from_a_class_is_not_missed(tmp_path, plugins, dogs, broken, overrides, says):
    typed = ["task=classification", unreadable(tmp_path / "set", 6, dogs, broken), *overrides]
    found = check(compose(typed, plugins), plugins, print).problems
    assert sum("cannot be used as an image" in item.message for item in found) == broken
    classes = [item.message for item in found if item.message.startswith("the class ")]
    assert len(classes) == (says is not None) and all(says in message for message in classes), classes


def test_statistics_are_in_words(tmp_path):
    _, output, _ = within("inspect", "task=classification", unreadable(tmp_path / "set", 6, 6, 0))
    assert "images: train " in output and "shortest side 20, median side 20, " in output and "multi label: no" in output
    assert not {*"{}[]"} & {*output}
    assert in_words({"longest_side": 12000, "mean": 0.123456, "planes": ["axial", "other"]}) == (
        "longest side 12,000, mean 0.1235, planes axial to other")


def test_there_are_no_statistics_of_no_images(tmp_path):
    code, output, errors = within("inspect", "task=classification", unreadable(tmp_path / "set", 0, 3, 3))
    assert code == 2 and "has 4 problems" in errors and "training images" not in output and "images:" not in output
