"""What ``result.predict`` takes and returns in Python: the same as ``sightsmith predict`` of the same files."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pandas
import pytest
import torch
from command_line import within
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor, to_tensor

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir
from sightsmith.engine.pipeline.inference import batches


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory):
    """A few digits, one of them below a folder."""
    folder = tmp_path_factory.mktemp("images")
    for number, path in enumerate(sorted((cache_dir() / "samples" / "classification").rglob("*.png"))[::300]):
        target = folder / ("below" if number == 0 else "") / f"{number}.png"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return folder


@pytest.mark.parametrize("run", ["digits", "photo_masks", "photo_maps"])
def test_a_folder_is_predicted_as_by_the_command(request, run, tmp_path):
    result = request.getfixturevalue(run)
    folder = request.getfixturevalue("images") if run == "digits" else request.getfixturevalue("photos") / "boxes"
    code, _, errors = within("predict", f"run={result.run_dir}", f"input={folder}", f"output_dir={tmp_path}")
    assert code == 0, errors
    [written] = tmp_path.iterdir()
    found = result.predict(folder)
    table = pandas.read_csv(written / "predictions.csv", dtype={"label": str}).drop(columns="error")
    pandas.testing.assert_frame_equal(found.to_dataframe(), table, check_dtype=False)
    assert any(item.labels for item in found)
    for item in found:
        picture = Image.open(written / "pictures" / f"{item.name}.png")
        assert np.array_equal(np.array(item.plot()), np.array(picture.convert("RGB")))
        if item.semantic_mask is not None:
            assert np.array_equal(item.semantic_mask, np.array(Image.open(written / "maps" / f"{item.name}.png")))


def test_images_from_memory_are_those_of_files(digits, images):
    path = images / "1.png"
    picture = Image.open(path).convert("RGB")
    array, tensor = np.array(picture), pil_to_tensor(picture)
    [expected] = digits.predict(path)
    given = [path, str(path), picture, Image.open(path), array, array[..., :1], array[..., 0], array / 255, tensor,
             to_tensor(picture), to_tensor(picture).double(), np.uint16(array) * 257]
    found = digits.predict(given)
    assert len(found) == len(given)
    for number, item in enumerate(found):
        assert item.scores == pytest.approx(expected.scores, abs=1e-5), number
        assert (item.width, item.height, item.labels) == (expected.width, expected.height, expected.labels)
    assert [item.name for item in found[:3]] == [str(path), str(path), "images[2]"]
    assert (found[0].path, found[2].path) == (path, None)
    assert np.array_equal(np.array(found[4].plot()), np.array(expected.plot()))
    batch = torch.stack([tensor, tensor.flip(-1)])
    assert [item.name for item in digits.predict(batch)] == ["images[0]", "images[1]"]
    assert digits(array).name == "image" and digits(array).scores == pytest.approx(expected.scores, abs=1e-5)


def test_a_picture_that_pil_has_not_turned_is_upright(digits, tmp_path):
    random = np.random.default_rng(0).integers(0, 255, (20, 40, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random).save(tmp_path / "turned.png", exif=exif)
    [one, other] = digits.predict([tmp_path / "turned.png", Image.open(tmp_path / "turned.png")])
    assert (other.width, other.height) == (one.width, one.height) == (20, 40)
    assert one.scores == other.scores


def test_many_inputs_are_one_list_in_order(digits, images, tmp_path):
    found = digits.predict(item for item in (images, images / "1.png", Image.open(images / "2.png")))
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    assert [item.name for item in found] == [*(f"{images}/{name}" for name in names), str(images / "1.png"),
                                             "images[2]"]
    assert len(digits.predict([])) == 0
    assert list(digits.predict([]).to_dataframe()) == ["image", "frame"]
    assert [item.name for item in found[-2:]] == [str(images / "1.png"), "images[2]"]
    with pytest.raises(UserError, match=r"takes one image, and got \d+"):
        digits(images)


def test_everything_that_is_no_image_is_named_at_once(digits, images, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    given = {
        "images[0]: a NumPy array of the shape (3, 28, 28), as if its channels came first": np.zeros((3, 28, 28)),
        "images[1]: a torch tensor of the shape (28, 28, 3), as if its channels came last": torch.zeros(28, 28, 3),
        "images[2]: a NumPy array of int64: its black and white are unknown": np.zeros((28, 28, 3), int),
        "images[3]: a NumPy array of float64 with values from 0 to 9, not from 0 to 1: convert": np.full((9, 9), 9.0),
        "images[4]: a torch tensor of float32 with values from -1 to 0": -torch.ones(1, 9, 9),
        "images[5]: a NumPy array of float64 with values from nan": np.full((9, 9), np.nan),
        "images[6]: builtins.int is no image": 6,
        "images[7]: builtins.NoneType is no image": None,
        "images[8]: a PIL image of the mode F": Image.new("F", (9, 9)),
        f"{images}/3x.png: there is no such file or folder. Did you mean '3.png'": images / "3x.png",
        f"{tmp_path / 'empty'} contains no images": tmp_path / "empty",
        "images[11]: a NumPy array of the shape (9,)": np.zeros(9),
        "images[12]: builtins.dict is no image": {"a": 1},
        "images[13]: a NumPy array of the shape (9, 8, 8): its last axis has the channels, of which 3 are used; if it "
        "has grey images one after the other, pass list(array)": np.zeros((9, 8, 8)),
        "images[14]: a torch tensor of the shape (9, 8, 8): its first axis has the channels": torch.zeros(9, 8, 8),
    }
    with pytest.raises(UserError) as refused:
        digits.predict([*given.values(), tmp_path / "text.png"])
    for line in (*given, f"{tmp_path / 'text.png'}: it looks like a text file"):
        assert line in str(refused.value)
    assert len(refused.value.problems) == len(given) + 1
    assert "a NumPy array (height, width, channels)" in refused.value.hint
    with pytest.raises(UserError, match=r"the shape \(28, 28, 4\): its last axis has the channels"):
        digits.predict(np.zeros((28, 28, 4), np.uint8))


def test_predictions_are_shown_in_notebooks_and_escaped(digits, images, tmp_path):
    name = "<b>&.png"
    shutil.copy(images / "1.png", tmp_path / name)
    found = digits.predict([tmp_path / name, *[images / "2.png"] * 30])
    html = found._repr_html_()
    assert "&lt;b&gt;&amp;.png" in html and name not in html
    assert html.count("data:image/png;base64,") == 24 and "and 7 more" in html
    assert "1 image: 1 '" in repr(found[:1])
    assert found[0]._repr_html_().count("<figure") == 1
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match="the image is read again to show it"):
        found[0].plot()


def test_without_pandas_the_package_is_named(digits, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pip install 'sightsmith\[pandas\]'"):
        digits.predict(images).to_dataframe()


def test_the_model_of_labels_is_called_as_it_says(digits, images):
    found = digits.describe_model()
    assert found["input"].startswith("images (N, 3, 32, 32) float32 from 0 to 1, RGB")
    assert (len(found["mean"]), len(found["std"])) == (3, 3)
    array = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    names = {"model": digits.model, "images": torch.from_numpy(array).permute(2, 0, 1)[None] / 255}
    with torch.no_grad():
        scores = eval(found["call"], names).softmax(1)[0].tolist()
    assert dict(zip(digits.classes, scores, strict=True)) == pytest.approx(digits(array).scores, abs=1e-5)
    assert "<td>returns</td><td>logits (N, 10)" in found._repr_html_()


@pytest.mark.parametrize(("run", "returned"), [("boxes", "pred_instances: bboxes (n, 4)"), ("maps", "seg_logits")])
def test_the_models_of_openmmlab_say_how_they_are_called(request, run, returned):
    result = request.getfixturevalue(run)
    found, preprocessor = result.describe_model(), result.model.data_preprocessor
    values = preprocessor.mean.flatten().tolist()
    values = values[::-1] if run == "boxes" else values  # RTMDet takes BGR
    assert [255 * value for value in found["mean"]] == pytest.approx(values, abs=1e-3)
    assert "64 px" in found["input"] and returned in found["returns"]
    [path] = [next((cache_dir() / "samples" / result.task.config.task.name).rglob("*.png"))]
    [batch] = batches(result.task, [Sample(path, path.name)])
    with torch.no_grad():
        [sample] = eval(found["call"], {"model": result.model, "images": batch["inputs"],
                                        "samples": batch["data_samples"]})
    assert hasattr(sample, returned.partition(":")[0])
