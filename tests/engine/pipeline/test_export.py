"""``sightsmith export``: files that run without the engine and say what the engine says, or no file at all."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from command_line import refused, within
from export import TABLE, trained
from PIL import Image
from processes import command
from zoo_step import HEIGHT, WIDTH, write_samples

from sightsmith.core.contracts.exporter import Exporter
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import ExportError, UserError
from sightsmith.engine.pipeline import export as exporting
from sightsmith.engine.pipeline.export import TOLERANCE, export, run_module, write

PLUGINS = load_plugins()
FORMATS = list(PLUGINS.export_formats.values())
MOBILE = {"_delete_": True, "type": "MobileNetV2"}
SMALLER = {
    "mask_rcnn_r50": {"backbone": MOBILE | {"out_indices": [1, 2, 4, 7]}, "neck": {"in_channels": [24, 32, 96, 1280]},
                      "test_cfg": {"rpn": {"max_per_img": 50}, "rcnn": {"score_thr": 0.0}}},
    "tood_r50": {"backbone": MOBILE | {"out_indices": [1, 2, 4, 7]}, "neck": {"in_channels": [24, 32, 96, 1280]}},
    "deformable_detr_r50": {"backbone": MOBILE | {"out_indices": [2, 4, 7]}, "neck": {"in_channels": [32, 96, 1280]},
                            "encoder": {"num_layers": 2}, "decoder": {"num_layers": 2}},
}
"""``network.options`` of large detectors: the same heads on a small backbone, with fewer proposals and layers."""
ROUNDS = {"mask_rcnn_r50": 0, "tood_r50": 1, "deformable_detr_r50": 1}
"""Of learning: after them scores differ from each other. More take a second each and may give none that is sure."""
ALONE = """
import runpy, sys
for name in ("torch", "torchvision", "cv2", "sightsmith"):
    sys.modules[name] = None  # an import of it raises
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def script(folder, output_dir, *images):
    done = subprocess.run([sys.executable, "-c", ALONE, folder / "predict.py", "--output-dir", output_dir, *images],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_labels_from_onnxruntime_alone(digits, tmp_path):
    code, output, errors = command("export", f"run={digits.run_dir}", "format=onnx", f"output_dir={tmp_path}", "--json")
    assert code == 0, errors
    said = json.loads(output)
    assert said["original"] == said["exported"] == pytest.approx(digits.metrics["accuracy"])
    assert said["largest_difference"] < 1e-5
    [folder] = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.onnx", "predict.py"}
    card = json.loads((folder / "model.json").read_text())
    assert card["classes"] == list(digits.classes)
    assert card["input"]["shape"] == ["batch", 3, 32, 32]
    images = []
    for number, (mode, size) in enumerate((("RGB", (32, 32)), ("L", (70, 45)), ("RGBA", (20, 31)), ("I;16", (40, 40)))):
        values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
        images.append(tmp_path / f"{number}.png")
        if mode == "I;16":
            Image.fromarray(values[..., 0].astype(np.uint16) * 200).save(images[-1])
        else:
            Image.fromarray(values.squeeze()).save(images[-1])
    for one, other in zip(script(folder, tmp_path, *images), digits.predict(images), strict=True):
        assert len(one["labels"]) == 5
        for item in one["labels"]:
            assert item["score"] == pytest.approx(other.scores[item["label"]], abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("tiles", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["masks", "tiles"])
def test_objects_from_onnxruntime_alone(request, photos, tmp_path, tiles):
    result = request.getfixturevalue("photo_tiles" if tiles else "photo_masks")
    found = export(result, "onnx", PLUGINS, output_dir=tmp_path / "out", report=lambda line: None)
    assert found.parity.largest_difference < TOLERANCE
    assert found.parity.exported == pytest.approx(found.parity.original, abs=0.005)
    card = json.loads((found.folder / "model.json").read_text())
    assert card["input"]["shape"] == ["batch", 3, 64, 64]
    assert card["tile"]["side"] == (64 if tiles else None)
    images = [photos / "boxes" / f"{number}.png" for number in (0, 7, 15)]
    count = 0
    for one, other in zip(script(found.folder, tmp_path, *images), result.predict(images), strict=True):
        sure = [item for item in other.objects if item.score >= 0.3]
        count += len(sure)
        for item in sure:
            near = min((entry for entry in one["objects"] if entry["label"] == item.label),
                       key=lambda entry: np.abs(np.subtract(entry["box"], item.box)).max())
            assert near["score"] == pytest.approx(item.score, abs=0.02)
            assert near["box"] == pytest.approx(item.box, abs=1.5)
        if not tiles:
            numbers = np.array(Image.open(one["object_map"]))
            assert numbers.shape == (80, 128)
            assert numbers.max() <= len(one["objects"])
    assert count, "the detector is sure of nothing, so that nothing was compared"


def test_maps_from_onnxruntime_alone(photos, photo_maps, tmp_path):
    result = photo_maps
    found = export(result, "onnx", PLUGINS, output_dir=tmp_path / "out", report=lambda line: None)
    assert found.parity.original > 0.5
    assert found.parity.exported == pytest.approx(found.parity.original, abs=1e-4)
    images = [photos / "maps" / "images" / f"{number}.png" for number in (0, 7)]
    said = script(found.folder, tmp_path, *images)
    for one, other in zip(said, result.predict(images), strict=True):
        numbers = np.array(Image.open(one["semantic_mask"]))
        assert numbers.max() == 1
        assert (numbers == other.semantic_mask).mean() > 0.999
    done = subprocess.run([sys.executable, found.folder / "predict.py", "--output-dir", tmp_path, *images],
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode, "already exists" in done.stderr) == (1, True)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("name", ["resnet18", "segformer_b0", *(pytest.param(name, marks=pytest.mark.slow) for name in (
    "vit_b_32", "swin_t", "rtmdet_tiny", "ssdlite_mobilenet_v2", "rtmdet_ins_tiny", "segnext_t"))])
def test_networks_are_the_same_in_a_file(tmp_path, model_of, form, name):
    """Alone and in a batch: of each mechanism the smallest that has it, which are convolutions, attention with reduced
    keys, with learnt positions and in shifted windows, points, anchors, kernels that a head predicts, and factors of
    random bases. `python benchmarks/export.py` does it for all that have a name."""
    exporter, images = model_of(name)
    (tmp_path / "out").mkdir()
    written = write(form, exporter, tmp_path / "out" / form.file, images)
    for count in (1, 3):
        apart = exporter.differences(run_module(exporter)(images[:count]), written.run(images[:count]))
        assert apart.size
        assert (apart > TOLERANCE).mean() <= exporter.max_mismatch_ratio
    assert exporter.max_mismatch_ratio == (0.05 if load_plugins().network(name).task == "detection" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("name", ["mask_rcnn_r50", "tood_r50", "deformable_detr_r50"])
def test_large_detectors_are_the_same_but_for_ties(tmp_path, model_of, form, name, monkeypatch):
    """They learn too slowly for a test, so all detections are compared, not only those that one is sure of."""
    monkeypatch.setattr("sightsmith.plugins.detection.export.MIN_SCORE", 0.0)
    exporter, images = model_of(name)
    path = tmp_path / form.file
    made = form.build()()
    made.write(exporter, torch.from_numpy(images[:1]), path, True)
    expected, found = run_module(exporter)(images[:2]), made.open(path, exporter)(images[:2])
    assert {key: (values.shape, values.dtype) for key, values in found.items()} == \
        {key: (values.shape, values.dtype) for key, values in expected.items()}
    assert (np.abs(found["scores"] - expected["scores"]) < TOLERANCE).mean() > 0.9
    apart = exporter.differences(expected, found)
    assert apart.size > 50
    assert np.median(apart) < TOLERANCE


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """``model_of(name)``: the exporter of a network that has learnt a little, and images; made once."""
    made = {}

    def make(name):
        if name not in made:
            made.clear()
            samples = write_samples(tmp_path_factory.mktemp(name))
            task, model = trained(load_plugins().network(name), samples, ROUNDS.get(name, 20), SMALLER.get(name))
            exporter = task.exporter(model.eval(), [(HEIGHT, WIDTH), (WIDTH, HEIGHT)])
            data = task.dataset(samples, training=False)
            images = exporter.images(task.collate([data[0], data[1]])).numpy()
            made[name] = exporter, np.concatenate([images, images[..., ::-1]])
        return made[name]

    return make


class Toy(Exporter):
    """A module with a mistake that its maker may make."""

    channels, height, width, longest, fit = 3, 8, 8, 8, "stretch"
    outputs = {"values": "(batch, 2)"}

    def __init__(self, module):
        self.module = module.eval()

    def images(self, batch):
        raise NotImplementedError

    def evaluation_step(self, outputs, batch):
        raise NotImplementedError


class Mixes(torch.nn.Module):
    """The first image decides for all: no other is looked at."""

    def forward(self, images):
        return (images[:1].mean((2, 3))[:, :2].expand(images.shape[0], 2),)


class Random(torch.nn.Module):
    def forward(self, images):
        return (images.mean((2, 3))[:, :2] + torch.randn(images.shape[0], 2),)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_batch_is_not_mixed_up(tmp_path, form):
    images = np.random.default_rng(0).random((3, 3, 8, 8), dtype=np.float32)
    written = write(form, Toy(Mixes()), tmp_path / form.file, images)
    assert written.each_image
    assert written.run(images)["values"] == pytest.approx(images.mean((2, 3))[:, :2], abs=1e-6)
    with pytest.raises(ExportError, match="outputs differ"):
        write(form, Toy(Random()), tmp_path / form.file, images)


@pytest.mark.slow
def test_nothing_is_left_of_a_model_that_differs(digits, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="differ by up to"):
        export(digits, "onnx", PLUGINS, tolerance=0.0, output_dir=tmp_path, report=lambda line: None)
    assert not list(tmp_path.iterdir())
    code, _, errors = within("export", f"run={digits.run_dir}", "format=onnx", "tolerance=0", f"output_dir={tmp_path}")
    assert code == 1
    assert "differ by up to" in errors
    assert not list(tmp_path.iterdir())
    real = exporting.Parity
    monkeypatch.setattr(exporting, "Parity", lambda *values: real(*values[:-1], values[-1] - 0.006))
    with pytest.raises(ExportError, match="worse than the original"):
        export(digits, "onnx", PLUGINS, output_dir=tmp_path, report=lambda line: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_torchscript_needs_neither_onnx_nor_then_the_engine(digits, tmp_path):
    code = ("import sys; sys.modules.update(onnx=None, onnxruntime=None); from sightsmith.cli import main; "
            f"main(['export', 'run={digits.run_dir}', 'format=torchscript', 'output_dir={tmp_path}'])")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [folder] = tmp_path.iterdir()
    code = ("import sys; sys.modules['sightsmith'] = None; import torch; "
            f"[said] = torch.jit.load({str(folder / 'model.pt')!r})(torch.rand(3, 3, 32, 32)); "
            "print(said.shape, bool((said.sum(1) - 1).abs().max() < 1e-5))")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("torch.Size([3, 10]) True"), done.stdout + done.stderr


def test_the_table_has_every_network_of_the_short_lists():
    plugins = load_plugins()
    short = {(record.task, name) for name, record in plugins.networks.items()
             if not record.zoo and plugins.provider("networks", name).distribution == "sightsmith"}
    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    assert {(row[0].removeprefix("| "), row[1]) for row in rows} == short
    assert {batch for row in rows for batch in (row[3], row[6])} == {"at once", "image by image"}  # no refusal


def test_mistakes(digits, tmp_path, monkeypatch):
    for arguments, says in (
            (["format=onnx"], "run=RUN is required"),
            ([f"run={digits.run_dir}", "format=onix"], "Did you mean 'onnx'?"),
            ([f"run={tmp_path}", "format=onnx"], "is not a finished run"),
            ([f"run={digits.run_dir}", "format=onnx", "tolerance=low"], "is not a number from 0 to 1"),
            ([f"run={digits.run_dir}", "format=onnx", "tolerance=nan"], "is not a number from 0 to 1"),
            ([f"run={digits.run_dir}", "format=onnx", f"output_dir={__file__}"], "test_export.py is a file"),
            ([f"run={digits.run_dir}", "format=onnx", f"dataset.root={tmp_path / 'gone'}"], "gone")):
        assert says in refused("export", *arguments)
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="onnx and onnxruntime, which are not installed"):
        export(digits, "onnx", PLUGINS, output_dir=tmp_path)
