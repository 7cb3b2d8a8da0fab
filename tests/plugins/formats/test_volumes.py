"""Data sets of volumes as people have them: each slice has the same slice of the mask, and a volume stays whole."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
import tifffile
from dicom_files import dicom
from PIL import Image
from told import problems
from volume_files import THICK, affine_of, decathlon, nifti, organ, slicer

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.images import read_frame, read_image
from sightsmith.engine.data.masks import semantic_map
from sightsmith.engine.data.near_duplicates import near_duplicates
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.data.write import write_dataset
from sightsmith.engine.pipeline.load_dataset import check

WINDOW = "image.windows=[[40,400]]"


def read(root, *overrides, task="segmentation", errors=False):
    plugins = load_plugins()
    dataset = check(compose([f"task={task}", f"dataset.root={root}", WINDOW, *overrides], plugins), plugins,
                    lambda line: None)
    if not errors:
        dataset.raise_for_errors()
    return dataset


def test_the_decathlon_and_its_slices(tmp_path):
    dataset = read(decathlon(tmp_path))
    assert dataset.index.format == "mask_folders" and dataset.index.classes == ("spleen",)
    assert len(dataset.index.samples) == 4 * 8
    for sample in dataset.index.samples:
        case = int(sample.name[len("imagesTr/spleen_")])
        body, mask = organ(case)
        numbers = semantic_map(sample, dataset.index.classes, 36, 40)
        # LAS as stored, shown as LPS: the front is at the top.
        assert np.array_equal(numbers, mask[:, ::-1, sample.frame].T)
        assert np.array_equal(read_frame(sample).values[..., 0], body[:, ::-1, sample.frame].T)
        assert sample.labels == (("spleen",) if 3 <= sample.frame < 6 else ())
    splits = [{sample.name for sample in part} for part in (dataset.train, dataset.validation)]
    assert all(splits) and not splits[0] & splits[1]


def test_what_is_said_of_volumes(tmp_path):
    dataset = read(decathlon(tmp_path))
    summary = describe(dataset, compose(["task=segmentation", "dataset.root=any"], load_plugins()).image)
    assert summary["volumes"] == {"count": 4, "planes": ["axial"], "pixel_spacing": [0.8, 0.8],
                                  "slice_spacing": [3.0, 3.0]}
    assert summary["geometry"]["imagesTr/spleen_0.nii.gz"]["spacing"] == [0.8, 0.8, 3]
    assert summary["groups"] == 4
    assert not [text for text in problems(dataset, "warning") if "copies" in text or "image.windows" in text]


def test_empty_slices_are_no_copies_of_each_other(tmp_path):
    for number in range(4):
        body, _ = organ(number)
        nifti(tmp_path / ("ill", "well")[number % 2] / f"{number}.nii.gz", body)
    dataset = read(tmp_path, task="classification")
    assert len({sample.group for sample in dataset.index.samples}) == 4 and dataset.validation
    assert {sample.labels for sample in dataset.index.samples if sample.name.startswith("ill")} == {("ill",)}
    config = compose(["task=classification", "dataset.root=any", WINDOW], load_plugins())
    pairs = near_duplicates(dataset.index.samples, config.image)
    assert not [pair for pair in pairs if pair.first.name == pair.second.name or 0 in (pair.first.frame,
                                                                                       pair.second.frame)]


def test_copies_of_a_volume_are_still_found(tmp_path):
    for number in range(4):
        body, _ = organ(min(number, 2))
        nifti(tmp_path / ("ill", "well")[number % 2] / f"{number}.nii.gz", body)
    assert "the same image has different labels: ill/2.nii.gz#1 and well/3.nii.gz#1" in problems(
        read(tmp_path, task="classification", errors=True))[0]


def nnunet(root):
    decathlon(root)
    for path in sorted((root / "imagesTr").iterdir()):
        path.rename(path.with_name(path.name.replace(".nii.gz", "_0000.nii.gz")))
    content = json.loads((root / "dataset.json").read_text())
    content |= {"labels": {"background": 0, "spleen": 1}, "channel_names": {"0": "CT"}}
    (root / "dataset.json").write_text(json.dumps(content))


def plain(root):
    decathlon(root, suffix=".nii")
    (root / "dataset.json").unlink()
    (root / "imagesTr").rename(root / "images")
    (root / "labelsTr").rename(root / "masks")


def endings(root):
    decathlon(root)
    (root / "imagesTr").rename(root / "images")
    (root / "labelsTr").rename(root / "labels")
    for path in sorted((root / "labels").iterdir()):
        path.rename(path.with_name(path.name.replace(".nii.gz", "_seg.nii.gz")))


def of_slicer(root):
    for case in range(4):
        body, mask = organ(case)
        slicer(root / "images" / f"{case}.nrrd", body)
        slicer(root / "masks" / f"{case}.seg.nrrd", mask)
    (root / "classes.txt").write_text("spleen\n")


def both(root):
    """Images in NRRD, masks of floating-point numbers in NIfTI, stored the other way round."""
    for case in range(4):
        body, mask = organ(case)
        affine = np.diag([*THICK, 1]) * (-1, -1, 1, 1)
        slicer(root / "images" / f"{case}.nrrd", body)
        turned = affine @ [[-1, 0, 0, 39], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        nifti(root / "masks" / f"{case}.nii.gz", mask[::-1].astype(np.float64), turned)
    (root / "classes.txt").write_text("spleen\n")


@pytest.mark.parametrize("make", [nnunet, plain, endings, of_slicer, both])
def test_other_layouts_have_the_same_masks(tmp_path, make):
    expected = read(decathlon(tmp_path / "decathlon")).coverage["spleen"]
    make(tmp_path / "other")
    dataset = read(tmp_path / "other")
    assert dataset.coverage[dataset.index.classes[0]] == pytest.approx(expected)
    assert len(dataset.index.samples) == 4 * 8
    for sample in dataset.index.samples:
        assert semantic_map(sample, dataset.index.classes, 36, 40).any() == bool(sample.labels)
        bright = read_frame(sample).values[..., 0] > 100
        assert np.array_equal(semantic_map(sample, dataset.index.classes, 36, 40) > 0, bright)


def test_in_a_zip(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path / "cache"))
    decathlon(tmp_path / "Task09")
    with zipfile.ZipFile(tmp_path / "Task09.zip", "w") as file:
        for path in sorted((tmp_path / "Task09").rglob("*.*")):
            file.write(path, path.relative_to(tmp_path))
    assert len(read(tmp_path / "Task09.zip").index.samples) == 4 * 8


def test_pages_of_a_tiff_have_the_pages_of_their_mask(tmp_path):
    for case in range(4):
        for name, values in zip(("images", "masks"), organ(case), strict=True):
            pages = [Image.fromarray(np.clip(values[:, :, page], 0, 255).astype(np.uint8).T)
                     for page in range(values.shape[2])]
            (tmp_path / name).mkdir(exist_ok=True)
            pages[0].save(tmp_path / name / f"{case}.tif", save_all=True, append_images=pages[1:])
    dataset = read(tmp_path)
    for sample in dataset.index.samples:
        mask = organ(int(sample.path.stem))[1]
        assert np.array_equal(semantic_map(sample, dataset.index.classes, 36, 40), mask[:, :, sample.frame].T)
    Image.fromarray(organ(0)[1][:, :, 4].T).save(tmp_path / "masks" / "0.tif")
    one = [sample for sample in read(tmp_path).index.samples if sample.name == "images/0.tif"]
    assert len(one) == 8 and {sample.labels for sample in one} == {("1",)}
    pages[0].save(tmp_path / "masks" / "0.tif", save_all=True, append_images=pages[1:3])
    assert problems(read(tmp_path, errors=True))[0].startswith(
        "masks/0.tif: the mask has 3 slices of 40 x 36 px, but its image images/0.tif has 8 slices of 40 x 36 px")


def test_a_table_of_labels_for_volumes(tmp_path):
    for number in range(4):
        nifti(tmp_path / "scans" / f"{number}.nii.gz", organ(number)[0])
    for names in ("scans/{}.nii.gz", "/home/ann/scans/{}.nii.gz", "scans/{}"):
        (tmp_path / "label.csv").write_text("".join(f"{names.format(number)},{'ab'[number % 2]}\n"
                                                    for number in range(4)))
        dataset = read(tmp_path, task="classification")
        assert {(sample.name, sample.labels) for sample in dataset.index.samples} == {
            (f"scans/{number}.nii.gz", ("ab"[number % 2],)) for number in range(4)}
        assert len(dataset.index.samples) == 4 * 8


def test_masks_that_do_not_fit(tmp_path):
    decathlon(tmp_path)
    body, mask = organ(0)
    nifti(tmp_path / "labelsTr" / "spleen_0.nii.gz", mask[:, :, :7], affine_of("LAS", THICK))
    nifti(tmp_path / "labelsTr" / "spleen_1.nii.gz", mask, affine_of("RAS", THICK))
    nifti(tmp_path / "labelsTr" / "spleen_2.nii.gz", mask, affine_of("LAS", THICK, (-10.3, 5, 7)))
    nifti(tmp_path / "labelsTr" / "spleen_3.nii.gz", np.dstack([mask, mask]), affine_of("LAS", THICK))
    found = problems(read(tmp_path, errors=True))
    assert len(found) == 3 and "spleen_3.nii.gz: the mask has 16 axial slices" in found[2]
    assert found[0].startswith("labelsTr/spleen_0.nii.gz: the mask has 7 axial slices of 40 x 36 px, but its image "
                               "imagesTr/spleen_0.nii.gz has 8 axial slices of 40 x 36 px")
    assert found[1].startswith("labelsTr/spleen_1.nii.gz: its header places it elsewhere than its image "
                               "imagesTr/spleen_1.nii.gz: a corner is 39 voxels off")
    assert "save the mask with the affine of its image" in found[1]


def test_masks_that_are_none(tmp_path):
    decathlon(tmp_path)
    _, mask = organ(0)
    affine = affine_of("LAS", THICK)
    nifti(tmp_path / "labelsTr" / "spleen_0.nii.gz", mask * np.float32(0.5), affine)
    nifti(tmp_path / "labelsTr" / "spleen_1.nii.gz", mask * 2, affine)
    (tmp_path / "labelsTr" / "spleen_2.nii.gz").write_bytes(b"\x1f\x8b damaged")
    found = "\n".join(problems(read(tmp_path, errors=True)))
    assert "labelsTr/spleen_0.nii.gz: its values are not all whole numbers" in found
    assert "labelsTr/spleen_1.nii.gz: values without a class: 2" in found
    assert "labelsTr/spleen_2.nii.gz: " in found


def test_boxes_and_labels_come_from_the_masks(tmp_path):
    dataset = read(decathlon(tmp_path), task="detection")
    boxes = {sample.key: [item.box for item in sample.objects] for sample in dataset.index.samples}
    assert {len(found) for found in boxes.values()} == {0, 1}
    left, top, right, bottom = boxes["imagesTr/spleen_0.nii.gz#4"][0]
    assert (right - left, bottom - top) == (12, 10)
    labels = read(tmp_path, task="classification")
    assert {sample.labels for sample in labels.index.samples} == {("spleen",), ()}


CONVERTED = [name for name, record in load_plugins().dataset_formats.items()
             if record.writer and "masks" in record.annotations and name != "parquet"]


@pytest.mark.parametrize("form", CONVERTED)
def test_slices_are_written_with_their_masks(form, tmp_path):
    dataset = read(decathlon(tmp_path / "set", cases=2))
    notes = convert(dataset, form, tmp_path / "out")
    assert notes[0] == ("16 frames of 2 files become images of their own, such as imagesTr/spleen_0.nii.gz-0; to keep "
                        r"those of a file in the same split, add dataset.group_by='(.+)-\d+\.(png|npy)$'")
    assert notes[1] == ("these images are as bright as their files were with image.range=[-32768,32767]; "
                        "image.windows does not apply to them")
    again = read(tmp_path / "out", "image.windows=[]", "image.range=[-160,240]", r"dataset.group_by='(.+)-\d+\.'",
                 f"dataset.format={form}")
    assert len({sample.group for sample in again.index.samples}) == 2
    found = {sample.path.name: sample for sample in again.index.samples}
    for sample in dataset.index.samples:
        other = found[f"{sample.path.name}-{sample.frame}.npy"]
        assert np.array_equal(read_frame(sample).values, read_frame(other).values)
        maps = [semantic_map(item, dataset.index.classes, 36, 40) for item in (sample, other)]
        assert np.array_equal(*maps) and sample.labels == other.labels


def test_what_parquet_cannot_have_of_slices(tmp_path):
    dataset = read(decathlon(tmp_path / "set", cases=2))
    with pytest.raises(UserError, match=r"Parquet cannot have 16 of the images: imagesTr/spleen_0.nii.gz-0.npy"):
        convert(dataset, "parquet", tmp_path / "out")


@pytest.mark.parametrize(("values", "suffix", "dtype"), [
    (np.uint8([3, 250]), ".png", np.uint8), (np.uint16([3, 60000]), ".png", np.uint16),
    (np.float32([1.5, -2]), ".npy", np.float32), (np.float32([1, 255]), ".png", np.uint16),
    (np.int32([0, 70000]), ".npy", np.int32)])
def test_frames_are_as_small_as_they_fit(values, suffix, dtype, tmp_path):
    """In the type in which they are exact, of all frames alike."""
    for number in range(4):
        pages = np.zeros((2, 20, 24), values.dtype)
        pages[0, 3, number], pages[1, 4, number] = values
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "ab"[number % 2] / f"{number}.tif", pages, photometric="minisblack")
    dataset = read(tmp_path, "image.range=[0,1]", "image.windows=[]", task="classification")
    convert(dataset, "label_csv", tmp_path / "out")
    for sample in dataset.index.samples:
        path = tmp_path / "out" / "images" / f"{sample.name}-{sample.frame}{suffix}"
        found = np.array(Image.open(path)) if suffix == ".png" else np.load(path)
        assert found.dtype == dtype and np.array_equal(found, read_frame(sample).values[..., 0])


@pytest.mark.parametrize("form", ["label_csv", "coco", "parquet"])
def test_no_image_is_called_like_a_frame(form, tmp_path):
    for number in range(4):
        pages = np.arange(3 * 20 * 24, dtype=np.uint16).reshape(3, 20, 24) + number
        folder = tmp_path / "set" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / f"{number}.tif", pages.astype(np.uint8), photometric="minisblack")
        Image.fromarray(np.full((20, 24), number + 9, np.uint8)).save(folder / f"{number}.tif-0.png")
    dataset = read(tmp_path / "set", "image.windows=[]", "dataset.group_by=none", task="classification")
    assert "such as a/0.tif--0; to keep" in convert(dataset, form, tmp_path / "out")[0]
    again = read(tmp_path / "out", "image.windows=[]", "dataset.group_by=none", task="classification")
    assert sorted((sample.labels, read_frame(sample).values.tobytes()) for sample in again.index.samples) == sorted(
        (sample.labels, read_frame(sample).values.tobytes()) for sample in dataset.index.samples)


def convert(dataset, form, folder):
    return write_dataset(dataset.index, dataset.infos, load_plugins().dataset_formats[form], folder)


def test_without_the_extra_one_problem_says_what_to_install(tmp_path, monkeypatch):
    decathlon(tmp_path)
    for name in ("nifti", "volume"):
        monkeypatch.delitem(sys.modules, f"sightsmith.plugins.readers.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    found = [text for text in problems(read(tmp_path, errors=True)) if "read" in text]
    assert len(found) == 1
    assert found[0].startswith("4 semantic masks are not read: reading NIfTI needs nibabel, which is not installed: "
                               "labelsTr/spleen_0.nii.gz") and "pip install 'sightsmith[volumes]'" in found[0]


def test_a_file_that_names_others_counts_in_the_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path / "cache"))
    secret = nifti(tmp_path / "secret.nii", organ(0)[0])
    for number in range(4):
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.nii"
        nifti(path, organ(number)[0])
    path.write_bytes(b"sightsmith joined files\n" + json.dumps([[str(secret), None]]).encode())
    assert "b/3.nii: cannot be used as an image: it names other files, and is read nowhere " \
        "but in the cache" in problems(read(tmp_path / "set", task="classification", errors=True))[0]


def test_the_modalities_of_the_decathlon_are_channels(tmp_path):
    for case in range(4):
        body, mask = organ(case)
        nifti(tmp_path / "imagesTr" / f"BRATS_{case}.nii.gz", np.stack([body, 2 * body, 3 * body, 4 * body], -1))
        nifti(tmp_path / "labelsTr" / f"BRATS_{case}.nii.gz", mask)
    content = {"labels": {"0": "background", "1": "edema"},
               "modality": dict(enumerate(("FLAIR", "T1w", "t1gd", "T2w")))}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    dataset = read(tmp_path, "image.windows=[]", "image.range=[-100,1000]")
    assert {info.channels for info in dataset.infos.values()} == {4} and len(dataset.index.samples) == 4 * 8


def test_the_decathlon_without_its_masks(tmp_path):
    shutil.rmtree(decathlon(tmp_path) / "labelsTr")
    with pytest.raises(UserError) as caught:
        read(tmp_path)
    [problem] = caught.value.problems
    assert str(problem).startswith("dataset.json: is the description of volumes as of the Medical Segmentation "
                                   "Decathlon or nnU-Net, whose masks are missing")
    assert "they belong in labelsTr/" in problem.hint


def test_labels_of_the_decathlon_that_are_none(tmp_path):
    decathlon(tmp_path)
    content = json.loads((tmp_path / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(content | {"labels": {"0": "background", "x": "spleen"}}))
    assert "dataset.json: its labels have 'x': 'spleen'" in problems(read(tmp_path, errors=True))[0]
    shutil.rmtree(tmp_path / "imagesTs")
    (tmp_path / "dataset.json").write_text(json.dumps(content | {"labels": ["spleen", "liver"]}))
    assert "dataset.json: its labels have no numbers" in problems(read(tmp_path, errors=True))[0]
    (tmp_path / "dataset.json").write_text("[]")
    assert read(tmp_path).index.classes == ("1",)


@pytest.mark.parametrize(("elements", "shown", "dtype"), [
    ({}, "image.range=[0,4095]; image.windows does not apply to them", np.uint16),
    ({"RescaleSlope": 2, "RescaleIntercept": -1024}, "image.range=[-1024,7166]", np.int16),
    ({"WindowCenter": 100, "WindowWidth": 51}, "image.range=[74.5,124.5]", np.uint16)])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_frames_of_dicom_look_as_before(elements, shown, dtype, photometric, tmp_path):
    for number in range(4):
        values = np.random.default_rng(number).integers(0, 4096, (3, 20, 24)).astype(np.uint16)
        (tmp_path / "set" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        dicom(tmp_path / "set" / "ab"[number % 2] / f"{number}.dcm", values, 12, photometric, **elements)
    dataset = read(tmp_path / "set", "image.windows=[]", task="classification")
    notes = convert(dataset, "label_csv", tmp_path / "out")
    assert shown in notes[1]
    span = notes[1].partition("image.range=")[2].partition("]")[0] + "]"
    again = read(tmp_path / "out", "image.windows=[]", f"image.range={span}", task="classification")
    found = {sample.path.name.rpartition(".")[0]: sample for sample in again.index.samples}
    for sample in dataset.index.samples:
        other = found[f"{sample.path.name}-{sample.frame}"]
        before, after = read_image(sample), read_image(other, value_range=json.loads(span))
        assert np.abs(before - after).max() < 1e-6
        assert dtype == read_frame(other).values.dtype or photometric == "MONOCHROME1"
