"""The check beyond single formats: groups, frames, copies, limits, hashes."""

from __future__ import annotations

import numpy as np
import pytest
from broken_datasets import folders, picture
from dicom_files import slices
from PIL import Image
from told import told

from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.pipeline.load_dataset import check


def read(*overrides):
    return check(compose(["task=classification", *overrides], load_plugins()), load_plugins(), lambda line: None)


def test_dicom_studies_are_not_torn_apart(tmp_path):
    slices(tmp_path)
    dataset = read(f"dataset.root={tmp_path}", "dataset.validation_percentage=25")
    dataset.raise_for_errors()
    study = {sample.name: sample.name.split("/")[1].split("-")[0] for sample in dataset.index.samples}
    train = {study[sample.name] for sample in dataset.train}
    validation = {study[sample.name] for sample in dataset.validation}
    assert not train & validation
    assert len(validation) == 2
    assert describe(dataset, ImageConfig())["modalities"] == ["CT"]
    free = read(f"dataset.root={tmp_path}", "dataset.validation_percentage=25", "dataset.group_by=none")
    assert all(sample.group is None for sample in free.index.samples)


@pytest.mark.parametrize(("patient", "cases"), [
    (lambda study: f"P{study // 4} ", 2), (lambda study: "", 8), (lambda study: "anonymous", 8)],
    ids=["patients of four studies", "no patient", "all the same"])
def test_dicom_patients_are_not_torn_apart(tmp_path, patient, cases):
    slices(tmp_path, patient=patient)
    picture(tmp_path / "ill" / "photo.png", 1)
    samples = read(f"dataset.root={tmp_path}").index.samples
    groups = {sample.group for sample in samples if sample.group}
    assert len(groups) == cases and not any("P0" in group or "anonymous" in group for group in groups)
    assert len({(sample.name.split("/")[1].split("-")[0], sample.group) for sample in samples}) == 9


def test_groups_by_a_regular_expression(tmp_path):
    for number in range(24):
        picture(tmp_path / "ab"[number % 2] / f"patient{number // 4}_{number}.png", number)
    dataset = read(f"dataset.root={tmp_path}", "dataset.group_by='patient(\\d+)'", "dataset.validation_percentage=30")
    dataset.raise_for_errors()
    patients = [{sample.name.split("patient")[1].split("_")[0] for sample in part}
                for part in (dataset.train, dataset.validation)]
    assert patients[0]
    assert patients[1]
    assert not patients[0] & patients[1]


def test_a_split_that_separates_a_group_is_reported(tmp_path):
    for number in range(24):
        side = "val" if number % 6 == 5 else "train"
        picture(tmp_path / side / "ab"[number % 2] / f"patient{number // 8}_{number}.png", number)
        alone = 9 if side == "val" else 8
        picture(tmp_path / side / "ab"[1 - number % 2] / f"patient{alone}_{number}.png", 50 + number)
    given = [f"dataset.root={tmp_path}", "dataset.min_images_per_class=1"]
    assert not [problem for problem in read(*given).problems if "groups have images" in problem.message]
    dataset = read(*given, "dataset.group_by='patient(\\d+)'")
    dataset.raise_for_errors()
    [told] = [problem for problem in dataset.problems if "groups have images" in problem.message]
    assert told.message.startswith("3 groups have images in both splits of the data set: ")
    assert "patient0_" in told.message and "(train)" in told.message and "(val" in told.message
    assert told.severity == "warning"


def test_a_frame_is_a_sample_and_a_file_stays_together(tmp_path):
    for number in range(8):
        frames = [Image.fromarray(np.full((20, 20), 20 * number + page, np.uint8)) for page in range(3)]
        path = tmp_path / "ab"[number % 2] / f"{number}.tif"
        path.parent.mkdir(exist_ok=True)
        frames[0].save(path, save_all=True, append_images=frames[1:])
    dataset = read(f"dataset.root={tmp_path}", "dataset.validation_percentage=25")
    dataset.raise_for_errors()
    assert len(dataset.index.samples) == 24
    assert {sample.frame for sample in dataset.index.samples} == {0, 1, 2}
    assert not {sample.name for sample in dataset.train} & {sample.name for sample in dataset.validation}


def test_copies_stay_in_one_split(tmp_path):
    paths = folders(tmp_path, (("cat", 10), ("dog", 10)))
    for number in range(6):
        Image.open(paths[0]).save(tmp_path / "cat" / f"copy{number}.bmp")
    dataset = read(f"dataset.root={tmp_path}", "dataset.validation_percentage=30")
    dataset.raise_for_errors()
    copies = [{sample.name for sample in part if "copy" in sample.name or sample.name == "cat/0.png"}
              for part in (dataset.train, dataset.validation)]
    assert sorted(map(len, copies)) == [0, 7]
    assert any("6 images are copies" in str(problem) for problem in dataset.problems)


def test_dark_images_of_16_bits_are_warned_of(tmp_path):
    for number in range(8):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 4096, (20, 20), np.uint16)).save(path)
    dataset = read(f"dataset.root={tmp_path}")
    dataset.raise_for_errors()
    assert any("image.range=[0," in str(problem) for problem in dataset.problems)
    dataset = read(f"dataset.root={tmp_path}", "image.range=[0,4095]")
    assert not told(dataset)


def test_a_limit_is_stratified(tmp_path):
    folders(tmp_path, (("cat", 30), ("dog", 10)))
    dataset = read(f"dataset.root={tmp_path}", "dataset.limit=20")
    labels = [sample.labels[0] for sample in dataset.index.samples]
    assert (labels.count("cat"), labels.count("dog")) == (15, 5)


def test_hashes_tell_data_and_split_apart(tmp_path):
    folders(tmp_path, (("cat", 10), ("dog", 10)))
    first = read(f"dataset.root={tmp_path}")
    other_split = read(f"dataset.root={tmp_path}", "trainer.seed=5")
    assert first.data_digest == other_split.data_digest
    assert first.split_digest != other_split.split_digest
    picture(tmp_path / "cat" / "0.png", 12345)
    changed = read(f"dataset.root={tmp_path}")
    assert changed.data_digest != first.data_digest
    assert changed.split_digest == first.split_digest


def test_all_problems_at_once(tmp_path):
    folders(tmp_path, (("cat", 4), ("dog", 2)))
    (tmp_path / "cat" / "a.jpg").write_bytes(b"")
    picture(tmp_path / "cat" / "b.png", 9, (10, 10))
    with pytest.raises(UserError) as caught:
        read(f"dataset.root={tmp_path}").raise_for_errors()
    assert len(caught.value.problems) == 3
