"""A stranger's dataset format that breaks its contract is named, with what it did."""

from __future__ import annotations

import numpy as np
import pytest
from fake_plugins import with_plugin
from PIL import Image

from sightsmith.core.util.errors import PluginError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.plugin import DatasetFormatRecord, DatasetIndex, FormatMatch, Object, Sample

BOX = (2.0, 2.0, 9.0, 9.0)


def checked(monkeypatch, root, read, detect=lambda self, root: FormatMatch(1.0, "it says so")):
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(root / "a.png")
    record = DatasetFormatRecord(name="odd_format", description="odd", annotations=("boxes",), layout="odd",
                                 builder="odd:Odd")
    plugins = with_plugin(monkeypatch, "odd", "sightsmith_dataset_formats", [record],
                          Odd=type("Odd", (), {"detect": detect, "read": read}))
    overrides = ["task=detection", f"dataset.root={root}", "dataset.min_images_per_class=0"]
    return check(compose(overrides, plugins), plugins, lambda line: None)


def of(annotation="boxes", classes=("cat",), labels=("cat",), box=BOX):
    def read(self, root, report=None):
        sample = Sample(root / "a.png", "a.png", labels, objects=(Object("cat", box),))
        return DatasetIndex(root, "odd_format", classes, (sample,), annotation=annotation)

    return read


def failing(self, root, report=None):
    raise KeyError("columns")


@pytest.mark.parametrize(("read", "says"), [
    (failing, r"read failed at .*test_format_contract\.py:\d+: KeyError: 'columns'"),
    (lambda self, root, report=None: [], "read returned list, not a DatasetIndex"),
    (lambda self, root: None, r"read failed at .*: TypeError: .*takes 2 positional arguments but 3 were given"),
    (of(annotation="labels"), "its samples have boxes, but the index states annotation='labels'"),
    (of(classes=()), r"the sample a\.png has labels that are not in the index's classes: \['cat'\]"),
    (of(labels=()), r"the sample a\.png has objects whose classes are not in its labels: \['cat'\]"),
    (of(box=(1.0, 2.0)), r"the sample a\.png has a box of 2 numbers instead of 4"),
])
def test_what_a_format_did_is_said(monkeypatch, tmp_path, read, says):
    with pytest.raises(PluginError, match=rf"plugin odd \(odd-dist 1\.0\): dataset format 'odd_format': {says}"):
        checked(monkeypatch, tmp_path, read)


def test_a_format_that_fails_to_detect_is_said(monkeypatch, tmp_path):
    with pytest.raises(PluginError, match="'odd_format': detect failed at .*: KeyError") as raised:
        checked(monkeypatch, tmp_path, of(), detect=failing)
    assert "dataset.format=NAME" in raised.value.hint
    with pytest.raises(PluginError, match="detect returned bool, not a FormatMatch or None"):
        checked(monkeypatch, tmp_path, of(), detect=lambda self, root: True)


def test_one_that_keeps_it_is_read(monkeypatch, tmp_path):
    dataset = checked(monkeypatch, tmp_path, of())
    [sample] = dataset.index.samples
    assert sample.objects[0].box == BOX and dataset.index.classes == ("cat",)
