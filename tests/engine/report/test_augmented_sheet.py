"""The sheet of augmented images: what a network gets, with what is annotated in it."""

from __future__ import annotations

import numpy as np
import pytest
from small_runs import LABELS, SMALL

from sightsmith.cli import main
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.thumbnails import palette
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.prepare import training_task
from sightsmith.engine.report.augmented_sheet import ROWS, augmented_sheet


@pytest.fixture
def sheet():
    """``sheet(overrides)``: its section and the classes' colours."""
    def make(*overrides):
        plugins = load_plugins()
        config = compose([*overrides, "dataset.limit=20"], plugins)
        dataset = check(config, plugins, lambda line: None)
        task = training_task(config, plugins, dataset.index)
        [section] = augmented_sheet(task, task.dataset(dataset.train, training=True), dataset.train, 0)
        return section, palette(task.classes)

    return make


def test_boxes_are_drawn_in_the_colours_of_their_classes(sheet):
    section, colours = sheet(*SMALL, "task=detection", "augment.extra.vertical_flip.probability=1")
    assert len(section.pictures) == ROWS
    title, (original, *drawn) = section.pictures[1]
    assert title.endswith(".png") and original.caption == "original"
    assert len(drawn) == 5 and all(picture.image.shape == (64, 64, 3) for picture in drawn)
    boxes = [box for _, row in section.pictures for picture in row for box in picture.boxes]
    assert boxes and {colour for _, colour, _ in boxes} <= set(colours.values())
    assert all(name in section.html for name in colours)


def test_masks_and_maps_are_painted(sheet):
    for task in (["task=detection", "network=rtmdet_ins_tiny"], ["task=segmentation", "network=fastscnn"]):
        section, _ = sheet(*SMALL, *task)
        images = [picture.image for _, row in section.pictures for picture in row[1:]]
        assert any(np.ptp(image.astype(int), axis=2).max() > 60 for image in images), task  # the digits are grey


def test_classes_are_named_with_their_shares(sheet):
    section, _ = sheet(*LABELS, "augment.extra.mixup.probability=1", "augment.extra.mixup.alpha=5")
    captions = [picture.caption for _, row in section.pictures for picture in row[1:]]
    assert not section.html
    for caption in captions:
        shares = [float(part.partition(": share ")[2] or 1) for part in caption.split(", ")]
        assert sum(shares) == pytest.approx(1, abs=0.02)
    assert any(", " in caption for caption in captions)


def test_inspect_writes_it_into_a_page_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["inspect", *LABELS[:1], "dataset.root=sample", "dataset.limit=60", "image.size=32",
                 "augment.extra.noise.probability=1", "augmentations=true"]
    with pytest.raises(SystemExit, match="^0$"):
        main(arguments)
    [page] = tmp_path.glob("*-augmented/index.html")
    assert "Augmented images" in page.read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="^2$"):
        main(arguments)
    assert "already exists and is not overwritten" in capsys.readouterr().err
