"""``dataset.class_map``: typed or from a file, for every kind of annotation."""

from __future__ import annotations

import object_datasets as sets
import pytest
from broken_datasets import folders
from told import told

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.class_map import read_class_map
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.start import with_absolute_paths


def read(*overrides):
    return check(compose(["task=classification", *overrides], load_plugins()), load_plugins(), lambda line: None)


@pytest.mark.parametrize("file", [None, "names (1).yaml", "names.json"])
def test_classes_are_renamed_and_joined(tmp_path, monkeypatch, file):
    folders(tmp_path / "data", (("cat", 6), ("hound", 6), ("puppy", 6), ("owl", 6)))
    text = '{"hound": "dog", "puppy": "dog"}' if file != "names (1).yaml" else "hound: dog\npuppy: dog\n"
    monkeypatch.chdir(tmp_path)
    (tmp_path / (file or "unused")).write_text(text)
    overrides = [f"dataset.root={tmp_path / 'data'}", f"dataset.class_map={file or '{hound: dog, puppy: dog}'}"]
    dataset = read(*overrides)
    assert dataset.index.classes == ("cat", "dog", "owl")
    assert [sample.labels[0] for sample in dataset.index.samples].count("dog") == 12
    config = with_absolute_paths(compose(["task=classification", *overrides], load_plugins()))
    assert config.dataset.class_map == '{"hound": "dog", "puppy": "dog"}'


@pytest.mark.parametrize(("annotation", "make"), [
    ("boxes", sets.box_csv()), ("boxes", sets.coco()), ("masks", sets.masks())],
    ids=["boxes", "COCO", "semantic masks"])
def test_objects_and_masks_are_renamed(learns, tmp_path, annotation, make):
    learns(annotation)
    dataset = read(*make(tmp_path), "dataset.class_map={cat: Katze, dog: Katze}")
    told(dataset)
    assert dataset.index.classes == ("Katze",)
    assert {item.label for sample in dataset.index.samples for item in sample.objects} <= {"Katze"}
    assert sum(sample.labels == ("Katze",) for sample in dataset.index.samples) >= 6
    assert all({name for _, name in sample.semantic_mask.values} == {None, "Katze"}
               for sample in dataset.index.samples if sample.semantic_mask)


def test_a_class_that_is_not_there(tmp_path):
    folders(tmp_path, (("cat", 6), ("dog", 6)))
    with pytest.raises(UserError, match="dataset.class_map: the data set has no class 'dogs'. Did you mean 'dog'"):
        read(f"dataset.root={tmp_path}", "dataset.class_map={dogs: wolf}").raise_for_errors()


@pytest.mark.parametrize(("text", "said"), [
    ("{a: yes}", "not text"), ("{a: ''}", "not text"), ("{a: [b]}", "not text"), ("{a: b, a: c}", "given twice"),
    ("{a: b", "did not find expected"), ("nothing.yaml", "nothing.yaml is missing"), ("{a: &x b, c: *x}", "alias")])
def test_mistakes(text, said):
    with pytest.raises(UserError, match=said) as caught:
        read_class_map(text)
    assert "YAML file" in caught.value.hint
