"""A folder for each case, as of KiTS and BraTS: volumes are channels, of several segmentations none is taken."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from told import problems
from volume_files import THICK, affine_of, brats, decathlon, kits, nifti, organ

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.channels import choose_channels
from sightsmith.engine.data.images import read_frame
from sightsmith.engine.data.write import write_dataset
from sightsmith.engine.pipeline.load_dataset import check

AFFINE = affine_of("LAS", THICK)
DARK = ("image.windows=[]", "image.range=[-100,1000]")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path / "cache"))


def read(root, *overrides, errors=False):
    plugins = load_plugins()
    dataset = check(compose(["task=segmentation", f"dataset.root={root}", "image.windows=[[40,400]]", *overrides],
                            plugins), plugins, lambda line: None)
    if not errors:
        dataset.raise_for_errors()
    return dataset


def test_a_folder_for_each_case(tmp_path):
    expected = read(decathlon(tmp_path / "decathlon"))
    dataset = read(kits(tmp_path / "kits"))
    assert dataset.index.format == "case_folders" and len(dataset.index.samples) == 4 * 8
    assert dataset.coverage["1"] == pytest.approx(expected.coverage["spleen"])
    assert [text for text in problems(dataset, "warning") if "ignored" in text] == [
        "1 image has no semantic mask and is ignored: case_00004"]
    assert {sample.name for sample in dataset.index.samples} == {
        f"case_0000{case}/imaging.nii.gz" for case in range(4)}


def test_the_volumes_of_a_case_are_channels(tmp_path):
    (brats(tmp_path / "set") / "classes.txt").write_text("necrotic\noedema\nnone\nenhancing\n")
    dataset = read(tmp_path / "set", *DARK)
    assert {info.channels for info in dataset.infos.values()} == {4} and not problems(dataset)
    assert {sample.name for sample in dataset.index.samples} == {f"BraTS_00{case}" for case in range(4)}
    for sample in dataset.index.samples:
        body, mask = organ(int(sample.name[-1]))
        values, shown = read_frame(sample).values, body[:, ::-1, sample.frame].T
        assert np.array_equal(values, np.stack([number * shown for number in (1, 2, 3, 4)], -1))
        assert sample.labels == (("enhancing",) if 3 <= sample.frame < 6 else ())
    write_dataset(dataset.index, dataset.infos, load_plugins().dataset_formats["coco"], tmp_path / "out")
    again = read(tmp_path / "out", *DARK, r"dataset.group_by=(.+)-\d+\.")
    assert {info.channels for info in again.infos.values()} == {4}


def test_cases_that_are_incomplete(tmp_path):
    brats(tmp_path)
    (tmp_path / "BraTS_001" / "BraTS_001_t1ce.nii.gz").unlink()
    nifti(tmp_path / "BraTS_002" / "BraTS_002_gt.nii.gz", organ(0)[1])
    nifti(tmp_path / "BraTS_003" / "BraTS_003_t2.nii.gz", organ(0)[0][:, :, 1:], affine_of("LAS", THICK))
    found = "\n".join(problems(read(tmp_path, errors=True)))
    assert "BraTS_001: lacks t1ce, which other cases have as channels" in found
    assert "BraTS_002: has several segmentations: BraTS_002_gt.nii.gz, BraTS_002_seg.nii.gz" in found
    assert "BraTS_003: cannot be used as an image: BraTS_003_t2.nii.gz has another size or place than " \
           "BraTS_003_flair.nii.gz, its first channel" in found


def renamed(root, old, new):
    for path in sorted(root.rglob("*.nii.gz")):
        path.rename(path.with_name(path.name.replace(old, new)))


@pytest.mark.parametrize("name", ["aneurysm_seg", "seg-rater1", "LesionMask", "T1_GT", "ground_truth", "labels2"])
def test_segmentations_by_other_names(name, tmp_path):
    renamed(kits(tmp_path), "segmentation", name)
    assert len(read(tmp_path).index.samples) == 4 * 8


@pytest.mark.parametrize("names", [("seg_rater1", "seg_rater2"), ("aneurysm_seg", "vessel_mask"),
                                   ("segmentation", "aggregated_MAJ_seg"), ("gt1", "gt2")])
def test_of_several_segmentations_none_is_taken(names, tmp_path):
    """Nor is one of them a channel."""
    renamed(kits(tmp_path), "segmentation", names[0])
    for case in range(4):
        nifti(tmp_path / f"case_0000{case}" / f"{names[1]}.nii.gz", organ(case)[1], AFFINE)
    dataset = read(tmp_path, errors=True)
    assert dataset.index.format == "case_folders" and not dataset.index.samples
    found = [text for text in problems(dataset) if "has several segmentations: " in text]
    assert len(found) == 4 and all(f"{name}.nii.gz" in found[0] for name in names)
    assert "keep the one to learn from in the folder" in found[0]


def test_two_volumes_of_one_name(tmp_path):
    brats(tmp_path)
    nifti(tmp_path / "BraTS_002" / "BraTS_002_T1.nii", organ(0)[0], AFFINE)
    assert "BraTS_002: has several volumes of one name: BraTS_002_T1.nii, BraTS_002_t1.nii.gz" in "\n".join(
        problems(read(tmp_path, *DARK, errors=True)))


def test_names_that_begin_with_something_else_than_their_folder(tmp_path):
    expected = read(brats(tmp_path / "usual"), *DARK)
    shutil.copytree(tmp_path / "usual", tmp_path / "other")
    for number in range(4):
        (tmp_path / "other" / f"BraTS_00{number}").rename(tmp_path / "other" / f"patient {number}")
    (tmp_path / "other" / "patient 3" / "BraTS_003_t1ce.nii.gz").rename(
        tmp_path / "other" / "patient 3" / "BraTS_003_T1CE.nii.gz")
    assert read(tmp_path / "other", *DARK).index.channels == expected.index.channels == ("flair", "t1", "t1ce", "t2")


def test_the_configuration_names_the_files_and_refuses_others(tmp_path):
    dataset = read(brats(tmp_path / "set"), *DARK)
    config = compose(["task=segmentation", f"dataset.root={tmp_path / 'set'}", *DARK], load_plugins())
    chosen = {value.key: value.value for value in choose_channels(config, dataset)}
    assert chosen["image.case_files"] == ["flair", "t1", "t1ce", "t2"]
    renamed(tmp_path / "set", "t1ce", "adc")
    assert problems(read(tmp_path / "set", *DARK, "image.case_files=[flair,t1,t1ce,t2]", errors=True))[0].startswith(
        "the files of a case are adc, flair, t1, t2, and the channels of the model are flair, t1, t1ce, t2")


def series(root, channels=4):
    decathlon(root)
    for case in range(4):
        body, _ = organ(case)
        nifti(root / "imagesTr" / f"spleen_{case}.nii.gz", np.stack([body * number for number in range(channels)], 3),
              AFFINE)
    shutil.rmtree(root / "imagesTs")
    return json.loads((root / "dataset.json").read_text())


def test_channels_named_in_a_list(tmp_path):
    content = series(tmp_path) | {"modality": ["FLAIR", "T1w", "t1gd", "T2w"], "labels": ["background", "spleen"]}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    dataset = read(tmp_path, *DARK)
    assert {info.channels for info in dataset.infos.values()} == {4} and dataset.index.classes == ("spleen",)


def test_a_series_is_channels_where_their_number_is_typed(tmp_path):
    series(tmp_path)
    assert "or, if they are channels, type image.channels=4 or name 4 in a dataset.json" in problems(
        read(tmp_path, *DARK, errors=True))[0]
    assert {info.channels for info in read(tmp_path, *DARK, "image.channels=4").infos.values()} == {4}
    assert "it is a series of volumes" in problems(read(tmp_path, *DARK, "image.channels=5", errors=True))[0]


def test_a_series_of_three_is_never_taken_for_colours(tmp_path):
    series(tmp_path, 3)
    assert "it is a series of volumes" in problems(read(tmp_path, *DARK, "image.channels=3", errors=True))[0]


def numbered(root, channels=2):
    """nnU-Net's layout, of which a case has a file for each channel."""
    decathlon(root)
    shutil.rmtree(root / "imagesTs")
    for path in sorted((root / "imagesTr").iterdir()):
        body, _ = organ(int(path.name[7]))
        for number in range(channels):
            nifti(path.with_name(path.name.replace(".nii", f"_000{number}.nii")), body * (number + 1), AFFINE)
        path.unlink()
    return root


def test_numbered_files_are_channels_as_of_nnunet(tmp_path):
    dataset = read(numbered(tmp_path), *DARK)
    assert dataset.index.channels == ("0000", "0001") and not problems(dataset)
    assert not [text for text in problems(dataset, "warning") if "no semantic mask" in text]
    assert {sample.name for sample in dataset.index.samples} == {f"imagesTr/spleen_{case}.nii.gz" for case in range(4)}
    values = read_frame(dataset.index.samples[4]).values
    assert values.shape[2] == 2 and np.array_equal(values[..., 1], 2 * values[..., 0])
    (tmp_path / "imagesTr" / "spleen_2_0001.nii.gz").unlink()
    assert "imagesTr/spleen_2.nii.gz: lacks the channels 0001, which other images have" in problems(
        read(tmp_path, *DARK, errors=True))[0]


def test_one_numbered_file_is_an_image(tmp_path):
    dataset = read(numbered(tmp_path, channels=1), *DARK)
    assert dataset.index.channels == () and len(dataset.index.samples) == 4 * 8
