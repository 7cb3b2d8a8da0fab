"""What `sightsmith predict` takes for images: as in training, cases of several files and no links elsewhere."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from command_line import refused, within
from PIL import Image
from small_runs import COMMON, MAPS
from volume_files import THICK, affine_of, brats, nifti, organ

from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.pipeline.prediction_images import find_images

AFFINE = affine_of("LAS", THICK)


@pytest.fixture(scope="module")
def cases(once):
    return once("cases", brats)


@pytest.fixture(scope="module")
def of_cases(cases, trained):
    return trained("of_cases", *COMMON, *MAPS, f"dataset.root={cases}", "image.range=[-100,1000]",
                   "dataset.validation_percentage=25", "hyper.batch_size=8")


def predicted(run, source, folder):
    code, output, errors = within("predict", f"run={run.run_dir}", f"input={source}", f"output_dir={folder}",
                                  "pictures=false")
    [written] = folder.iterdir()
    return code, errors, written, json.loads((written / "predictions.json").read_text())


def maps(written, said):
    return [np.array(Image.open(written / item["semantic_mask"])) for item in said["images"]]


@pytest.fixture(scope="module")
def first_case(of_cases, cases, tmp_path_factory):
    """The maps predicted for the volumes of a case as they lie in training."""
    code, errors, written, said = predicted(of_cases, cases / "BraTS_000", tmp_path_factory.mktemp("first"))
    assert code == 0, errors
    assert {item["image"] for item in said["images"]} == {"BraTS_000"} and len(said["images"]) == 8
    assert list(said["volumes"]) == ["BraTS_000"]
    return maps(written, said)


def test_the_files_of_cases_are_joined_as_in_training(of_cases, cases, first_case, tmp_path):
    assert of_cases.task.config.image.case_files == ["flair", "t1", "t1ce", "t2"]
    for case, names in (("BraTS_000", "{}.nii.gz"), ("other", "MR-{}.nii.gz")):
        for path in (cases / "BraTS_000").iterdir():
            if "seg" not in path.name:
                target = tmp_path / "in" / case / names.format(path.name[10:-7].upper())
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    code, errors, written, said = predicted(of_cases, tmp_path / "in", tmp_path / "out")
    assert code == 0, errors
    found = maps(written, said)
    assert len(found) == 16 and np.array_equal(found, first_case * 2)


def test_the_files_of_several_cases_in_one_folder(of_cases, cases, first_case, tmp_path):
    (tmp_path / "in").mkdir()
    for case in ("a", "b", "c"):
        for path in (cases / "BraTS_000").iterdir():
            if "seg" not in path.name and (case, path.name[10:-7]) != ("c", "t1"):
                shutil.copy(path, tmp_path / "in" / f"{case}_{path.name[10:]}")
    code, errors, written, said = predicted(of_cases, tmp_path / "in", tmp_path / "out")
    assert code == 1 and "c: it lacks t1 of the files flair, t1, t1ce, t2" in errors
    assert {item["image"] for item in said["images"]} == {"a", "b", "c"}
    said["images"] = [item for item in said["images"] if "error" not in item]
    assert np.array_equal(maps(written, said), first_case * 2)


def test_a_case_that_lacks_a_file_is_named(of_cases, cases, tmp_path):
    shutil.copytree(cases, tmp_path / "in")
    (tmp_path / "in" / "BraTS_001" / "BraTS_001_t1ce.nii.gz").unlink()
    shutil.copy(tmp_path / "in" / "BraTS_002" / "BraTS_002_t2.nii.gz", tmp_path / "in" / "BraTS_002" / "old_t2.nii.gz")
    for path in (tmp_path / "in" / "BraTS_003").iterdir():
        path.rename(path.with_name(path.name.replace("_", "")))
    code, errors, _, said = predicted(of_cases, tmp_path / "in", tmp_path / "out")
    assert code == 1
    assert "BraTS_001: it lacks t1ce of the files flair, t1, t1ce, t2 that the model takes" in errors
    assert "BraTS_002: it has several files t2: BraTS_002_t2.nii.gz, old_t2.nii.gz" in errors
    assert "BraTS_003/BraTS003flair.nii.gz: it has 1 band, and 4 channels are used by the model: the files flair, " \
        "t1, t1ce, t2 of a case" in errors
    assert {item["image"] for item in said["images"] if "error" not in item} == {"BraTS_000"}


def test_a_series_of_as_many_volumes_is_the_channels(of_cases, cases, first_case, tmp_path):
    body, _ = organ(0)
    nifti(tmp_path / "a.nii.gz", np.stack([body * number for number in (1, 2, 3, 4)], 3), AFFINE)
    code, errors, written, said = predicted(of_cases, tmp_path / "a.nii.gz", tmp_path / "out")
    assert code == 0, errors
    assert np.array_equal(maps(written, said), first_case)
    nifti(tmp_path / "b.nii.gz", np.stack([body] * 5, 3), AFFINE)
    assert "it is a series of volumes of the shape 40 x 36 x 8 x 5" in refused(
        "predict", f"run={of_cases.run_dir}", f"input={tmp_path / 'b.nii.gz'}", f"output_dir={tmp_path / 'none'}")


def test_links_out_of_the_input_are_not_opened(digits, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for path in (tmp_path / "in" / "a.png", tmp_path / "secret.png", tmp_path / "elsewhere" / "b.png"):
        Image.new("L", (32, 32)).save(path)
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "in" / "inside.png").symlink_to(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "loop.png").symlink_to("loop.png")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "elsewhere")
    code, errors, _, said = predicted(digits, tmp_path / "in", tmp_path / "out")
    assert code == 1
    assert {item["image"] for item in said["images"] if "error" not in item} == {"a.png", "inside.png"}
    assert "link.png: is a link to a file outside" in errors and "copy the image into the folder" in errors
    assert "loop.png: is a link that leads to itself" in errors
    assert "folder: is a link to a folder outside" in errors
    only = tmp_path / "only"
    only.mkdir()
    (only / "link.png").symlink_to(tmp_path / "secret.png")
    assert "link.png: is a link to a file outside" in refused("predict", f"run={digits.run_dir}", f"input={only}")
    assert list(find_images(str(only / "link.png"), (), ImageConfig()).paths) == ["link.png"]  # it was typed


@pytest.mark.parametrize(("form", "suffix", "reason"), [
    ("parquet", ".ppm", "Parquet cannot have 1 of the images: 0.ppm"),
    ("parquet", ".tif", "Parquet cannot have 2 of the images: 0.tif-0.npy, 0.tif-1.npy")])
def test_what_the_format_cannot_hold_is_refused_before_anything_is_computed(form, suffix, reason, digits, tmp_path,
                                                                            monkeypatch):
    monkeypatch.setattr(type(digits), "predict", lambda *args, **options: pytest.fail("predicted"))
    page = Image.fromarray(np.eye(32, dtype=np.float32) / 2) if suffix == ".tif" else Image.new("RGB", (32, 32))
    pages = {"save_all": True, "append_images": [page]} if suffix == ".tif" else {}
    (tmp_path / "in").mkdir()
    page.save(tmp_path / "in" / f"0{suffix}", **pages)
    monkeypatch.setattr("sightsmith.engine.data.check_images.lacks_black_and_white", lambda info, image: False)
    said = refused("predict", f"run={digits.run_dir}", f"input={tmp_path / 'in'}", f"format={form}",
                   f"output_dir={tmp_path / 'out'}")
    assert reason in said and "such as coco" in said
    assert not (tmp_path / "out").exists()


def test_names_that_the_format_cannot_hold_are_refused_before(boxes, tmp_path, monkeypatch):
    monkeypatch.setattr(type(boxes), "predict", lambda *args, **options: pytest.fail("predicted"))
    for name in ("a/x.png", "b/x.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "in" / name)
    given = ("predict", f"run={boxes.run_dir}", f"input={tmp_path / 'in'}", f"output_dir={tmp_path / 'out'}")
    assert "these images have the same name: a/x.png and b/x.png" in refused(*given, "format=voc")
    (tmp_path / "in" / "a" / "x.png").rename(tmp_path / "in" / "a" / "\x01.png")
    for form in ("voc", "cvat"):
        assert "XML cannot hold the control character" in refused(*given, f"format={form}")
