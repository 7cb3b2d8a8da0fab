"""``sightsmith predict`` and ``inspect convert``: files that people and programs read, and that train again."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from command_line import refused, within
from dicom_files import dicom
from object_datasets import box_csv
from PIL import Image
from processes import command
from shared_runs import copied

import sightsmith
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.files import cache_dir
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.load_dataset import check_for_evaluation
from sightsmith.engine.pipeline.predict_files import PredictOptions, predict_files


def predictions(folder):
    [written] = folder.iterdir()
    return written, json.loads((written / "predictions.json").read_text())


def read(task, root):
    plugins = load_plugins()
    config = compose([f"task={task}", f"dataset.root={root}"], plugins)
    dataset = check_for_evaluation(config, plugins, lambda line: None)
    dataset.raise_for_errors()
    return {sample.path.name: sample for sample in dataset.index.samples}


@pytest.fixture(scope="module")
def images(tmp_path_factory, digits):
    """A few digits, one of them below a folder."""
    folder = tmp_path_factory.mktemp("images")
    found = sorted((cache_dir() / "samples" / "classification").rglob("*.png"))[::120]
    for number, path in enumerate(found):
        target = folder / ("below" if number == 0 else "") / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return folder


def test_long_names_and_files_without_black_and_white(digits, images, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    long = "é" * 120 + ".png"
    shutil.copy(images / "1.png", folder / long)
    np.save(folder / "float.npy", np.zeros((20, 20, 3), np.float32))
    code, _, errors = within("predict", f"run={digits.run_dir}", f"input={folder}", f"output_dir={tmp_path / 'out'}")
    assert code == 1
    assert "float.npy: it has more than 16 bits or floating-point values, and the model was trained without" in errors
    written, said = predictions(tmp_path / "out")
    [found] = [item for item in said["images"] if "error" not in item]
    assert found["image"] == long
    assert (written / found["picture"]).is_file()


@pytest.mark.parametrize("form", ["label_csv", "labelme", "coco"])
def test_labels_come_back_unchanged(digits, images, tmp_path, form):
    code, output, errors = within("predict", f"run={digits.run_dir}", f"input={images}", f"format={form}",
                                  f"output_dir={tmp_path}")
    assert code == 0, errors
    folder, said = predictions(tmp_path)
    assert str(folder / "predictions.json") in output
    assert said["classes"] == list(digits.classes)
    assert {item["image"] for item in said["images"]} == {
        path.relative_to(images).as_posix() for path in images.rglob("*.png")}
    again = read("classification", folder / form)
    for item in said["images"]:
        assert len(item["labels"]) == 5
        assert [entry["score"] for entry in item["labels"]] == sorted((entry["score"] for entry in item["labels"]),
                                                                      reverse=True)
        assert again[item["image"].rsplit("/", 1)[-1]].labels == (item["labels"][0]["label"],)
        with Image.open(folder / item["picture"]) as picture:
            assert picture.size == (item["width"], item["height"])


def test_an_image_a_zip_and_dicom_are_inputs(digits, images, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in images.rglob("*.png"):
            archive.write(path, path.relative_to(images))
    whole = {}
    for number, given in enumerate((images, tmp_path / "photos.zip", images / "1.png")):
        code, output, errors = command("predict", f"run={digits.run_dir}", f"input={given}", "pictures=false", "--json",
                                       f"output_dir={tmp_path / str(number)}")
        assert code == 0, errors
        said = json.loads(output)
        assert "picture" not in said["images"][0]
        whole[number] = {item["image"]: item["labels"] for item in said["images"]}
    assert whole[0] == whole[1]
    assert whole[2] == {"1.png": whole[0]["1.png"]}
    from dicom_files import dicom

    (tmp_path / "series").mkdir()
    for name in ("IM0001", "IM0002"):
        dicom(tmp_path / "series" / name, np.arange(32 * 32, dtype=np.uint16).reshape(32, 32))
    digits = copied(digits, tmp_path / "runs")
    code, output, errors = command("predict", f"run={digits.run_dir}", f"input={tmp_path / 'series'}", "--json")
    assert code == 0, errors
    assert [item["image"] for item in json.loads(output)["images"]] == ["IM0001", "IM0002"]
    assert (digits.run_dir / "predictions").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("run", "forms"), [
    ("boxes", ("label_csv", "labelme", "coco", "yolo")), ("maps", ("label_csv", "labelme", "coco"))])
def test_objects_and_maps_come_back_unchanged(request, tmp_path, run, forms):
    result = sightsmith.load(str(request.getfixturevalue(run).run_dir))  # its own: the model is changed
    task = result.task.config.task.name
    images = tmp_path / "images"
    images.mkdir()
    for sample in read(task, "sample").values():
        if len(list(images.iterdir())) < 4:
            shutil.copy(sample.path, images / sample.path.name)
    if task == "segmentation":  # one that has hardly learnt sees nothing; this one sees something everywhere
        torch.nn.init.normal_(result.model.decode_head.conv_seg.weight)
        result.model.decode_head.conv_seg.bias.data[:] = torch.tensor([0.0, 0.1, 0.0, 0.0])
    for form in forms:
        predict_files(result, str(images), PredictOptions(min_score=0.0, format=form), tmp_path / form)
        folder, said = predictions(tmp_path / form)
        if task == "segmentation":
            for item in said["images"]:
                numbers = np.array(Image.open(folder / item["semantic_mask"]))
                assert numbers.shape == (item["height"], item["width"])
                assert numbers.max() <= len(result.classes)
        if not any(item.get("objects") or "semantic_mask" in item for item in said["images"]):
            pytest.fail("nothing was found")
        again = read(task, folder / form)
        for item in said["images"]:
            sample = again[item["image"]]
            if task == "detection":
                assert [found.label for found in sample.objects] == [found["label"] for found in item["objects"]]
                for one, two in zip(sample.objects, item["objects"], strict=True):
                    assert one.box == pytest.approx(two["box"], abs=2e-3)
            else:
                from sightsmith.engine.data.masks import semantic_map

                numbers = np.array(Image.open(folder / item["semantic_mask"]))
                assert (semantic_map(sample, result.classes, *numbers.shape) == numbers).all()


def test_mistakes(digits, images, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for arguments, says in (
            ([f"input={images}"], "run=RUN is required"),
            ([f"run={digits.run_dir}", f"input={images}s"], "there is no such file or folder"),
            ([f"run={digits.run_dir}", f"input={tmp_path / 'empty'}"], "contains no images"),
            ([f"run={digits.run_dir}", f"input={tmp_path / 'broken.png'}"], "cannot be read"),
            ([f"run={digits.run_dir}", f"input={images}", "format=yolo"], "has no labels"),
            ([f"run={digits.run_dir}", f"input={images}", "format=cocoa"], "does not exist"),
            ([f"run={digits.run_dir}", f"input={images}", "min_score=high"], "is not a number from 0 to 1"),
            ([f"run={digits.run_dir}", f"input={images}", "min_score=7"], "is not a number from 0 to 1")):
        assert says in refused("predict", *arguments, f"output_dir={tmp_path / 'out'}")


def test_a_file_that_is_called_like_the_frame_of_another(digits, tmp_path):
    (tmp_path / "in").mkdir()
    dicom(tmp_path / "in" / "IM", np.arange(800, dtype=np.uint16).reshape(2, 20, 20))
    dicom(tmp_path / "in" / "IM-0", np.arange(400, dtype=np.uint16).reshape(20, 20))
    folder = predict_files(digits, str(tmp_path / "in"), PredictOptions(), tmp_path / "out").folder
    written = [image["picture"] for image in json.loads((folder / "predictions.json").read_text())["images"]]
    assert len({*written}) == 3 and all((folder / picture).is_file() for picture in written)


def test_frames_are_written_as_images_of_their_own(digits, tmp_path):
    pages = [np.full((32, 32), level, np.uint8) for level in (0, 90)]
    first, second = map(Image.fromarray, pages)
    (tmp_path / "in").mkdir()
    first.save(tmp_path / "in" / "pages.tif", save_all=True, append_images=[second])
    code, output, errors = within("predict", f"run={digits.run_dir}", f"input={tmp_path / 'in'}", "format=label_csv",
                                  f"output_dir={tmp_path / 'out'}")
    assert code == 0, errors
    assert "2 frames of 1 file become images of their own, such as pages.tif-0" in output + errors
    folder, said = predictions(tmp_path / "out")
    assert f"  {folder / 'index.html'}\n  {folder / 'label_csv'}\n" in output
    rows = [row.split(",") for row in (folder / "label_csv" / "label.csv").read_text().splitlines()]
    assert rows == [[f"images/pages.tif-{item['frame']}.png", item["labels"][0]["label"]] for item in said["images"]]
    for number, page in enumerate(pages):
        written = Image.open(folder / "label_csv" / "images" / f"pages.tif-{number}.png")
        assert np.array_equal(np.array(written), page)


def test_a_bad_file_is_named_and_the_others_are_predicted(digits, images, tmp_path):
    shutil.copytree(images, tmp_path / "in")
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "1.png").read_bytes()[:60])
    (tmp_path / "in" / "text.jpg").write_text("no picture")
    code, _, errors = within("predict", f"run={digits.run_dir}", f"input={tmp_path / 'in'}",
                             f"output_dir={tmp_path / 'out'}")
    assert code == 1
    assert "2 images could not be read:" in errors
    assert "text.jpg: it looks like a text file" in errors
    written, said = predictions(tmp_path / "out")
    bad = {item["image"] for item in said["images"] if "error" in item}
    assert bad == {"cut.png", "text.jpg"}
    with (written / "predictions.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert {row["image"] for row in rows if row["error"]} == bad
    assert {row["image"]: float(row["score"]) for row in rows if not row["error"]} == {
        item["image"]: item["labels"][0]["score"] for item in said["images"] if "labels" in item}
    assert "text.jpg: it looks like a text file" in (written / "index.html").read_text()
    assert sum("labels" in item for item in said["images"]) == len(list(images.rglob("*.png")))


@pytest.mark.slow
def test_a_data_set_is_converted(tmp_path):
    made = box_csv()(tmp_path / "set")
    given = ["task=detection", *made, "dataset.min_images_per_class=1"]
    for form in ("coco", "voc", "yolo", "labelme"):
        code, output, errors = within("inspect", *given, f"convert={form}", f"convert_dir={tmp_path / form}")
        assert code == 0, errors
        assert f"Written as {form}: {tmp_path / form}" in output
        first, second = read("detection", tmp_path / "set"), read("detection", tmp_path / form)
        assert {name: [(item.label, item.box) for item in sample.objects] for name, sample in first.items()} == \
            {name: [(item.label, item.box) for item in sample.objects] for name, sample in second.items()}
    assert "already exists" in refused("inspect", *given, "convert=coco", f"convert_dir={tmp_path / 'coco'}")


def test_heat_maps_are_grad_cam(digits, images, tmp_path):
    """As Selvaraju et al. 2017 write it: features weighted by the mean of their gradients, and what is positive."""
    code, _, errors = within("predict", f"run={digits.run_dir}", f"input={images}", "heatmaps=true",
                             f"output_dir={tmp_path / 'out'}")
    assert code == 0, errors
    folder, said = predictions(tmp_path / "out")
    for item in said["images"]:
        assert Image.open(folder / item["heat_map"]).size == (item["width"], item["height"])
    model, task = digits.model, digits.task
    samples = [Sample(path, path.name) for path in sorted(images.rglob("*.png"))]
    [batch] = batches(task, samples)
    found = task.heat_maps(model, batch)
    layer = model.network.stage3  # the last map of more than one pixel, of images of 32 px: stage 4 has one
    kept = []
    hook = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = model(task_inputs := model.data_preprocessor(batch, False)["inputs"], mode="predict")
    hook.remove()
    gradients, = torch.autograd.grad(logits.max(1).values.sum(), kept[0])
    maps = (gradients.mean((2, 3), keepdim=True) * kept[0]).sum(1, keepdim=True).relu()
    maps = torch.nn.functional.interpolate(maps, task_inputs.shape[2:], mode="bilinear")[:, 0]
    maps = maps / maps.flatten(1).max(1).values[:, None, None].clamp_min(1e-12)
    assert np.stack(found) == pytest.approx(maps.detach().numpy(), abs=1e-4)
    assert np.stack(found).max() == 1


def test_what_has_no_heat_map_says_so(boxes, images, tmp_path):
    errors = refused("predict", f"run={boxes.run_dir}", f"input={images / '1.png'}", "heatmaps=true",
                     f"output_dir={tmp_path / 'out'}")
    assert "The task detection has no heat maps" in errors
    assert not (tmp_path / "out").exists()
