"""The example packages: installed into an environment of their own, listed, conforming, trained with."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from functools import partial
from pathlib import Path

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ("sightsmith-timm", "sightsmith-keypoints")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """``run(*command)`` in a fresh environment that sees this one's packages, with the examples installed beside."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # Processed as this environment's own folder is, editable installs included.
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    python = folder / "bin" / "python"
    for name in NAMES:
        source = folder / name
        shutil.copytree(EXAMPLES / name, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
        subprocess.run([sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps",
                        "--no-build-isolation", str(source)], check=True)

    def run(*command, cwd=folder, **variables):
        done = subprocess.run([python, *command], capture_output=True, text=True, cwd=cwd, timeout=280,
                              env={**os.environ, "OMP_NUM_THREADS": "1", **variables})
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


def listed(environment, kind):
    return {row["name"]: row for row in json.loads(environment("-m", "sightsmith", "list", kind, "--json"))}


def test_all_of_it_is_listed(environment):
    assert listed(environment, "plugins")["timm"] == {
        "name": "timm", "distribution": "sightsmith-timm", "version": "0.1.0", "status": "ok"}
    for kind, name in (("networks", "tf_efficientnet_lite0"), ("formats", "name_prefix"), ("tuners", "one_at_a_time"),
                       ("loggers", "json_lines"), ("presets", "surface_grades")):
        assert listed(environment, kind)[name]["provider"] == "timm (sightsmith-timm 0.1.0)"
    output = environment("-m", "sightsmith", "train", "--help")
    assert "one_at_a_time" in output and "json_lines" in output
    output = environment("-m", "sightsmith", "--complete", "train", "tuner=o")
    assert output.split() == ["tuner=one_at_a_time"]


@pytest.mark.parametrize("name", NAMES)
def test_it_conforms(environment, tmp_path, name):
    environment("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / name / "tests"), cwd=tmp_path)


def test_its_parts_train_together(environment, tmp_path):
    sample = tmp_path / "photos"
    sample.mkdir()
    environment("-m", "sightsmith", "inspect", "task=classification", "dataset.root=sample")
    for path in sorted((cache_dir() / "samples" / "classification").rglob("*.png"))[::15]:
        shutil.copy(path, sample / f"{path.parent.name}_{path.name}")
    environment("-m", "sightsmith", "train", "task=classification", f"dataset.root={sample}", "dataset.limit=60",
                "network=mobilenetv4_conv_small", "image.size=32", "hyper.epochs=1", "tuner=one_at_a_time",
                "trainer.precision=fp32", "trainer.memory_format=contiguous", "logger=[json_lines]",
                f"output_dir={tmp_path}")
    [sweep] = tmp_path.glob("*-sweep")
    assert [path.name for path in sorted(sweep.iterdir()) if path.name.isdigit()] == ["0", "1", "2", "3"]
    first = json.loads((sweep / "3" / "steps.jsonl").read_text().splitlines()[0])
    assert first["step"] == 1 and first["train/loss"] > 0
    assert "image names start with" in (sweep / "0" / "report" / "index.html").read_text()


def test_a_task_that_the_engine_does_not_know_trains_predicts_is_exported_and_retrained(environment, tmp_path):
    fast = ("hyper.epochs=6", "trainer.precision=fp32", "trainer.memory_format=contiguous", "logger=[]")
    environment("-m", "sightsmith", "train", "task=keypoints", "dataset.root=sample", "recipe=platform", *fast,
                f"output_dir={tmp_path / 'first'}")
    [run] = (tmp_path / "first").iterdir()
    score = json.loads((run / "status.json").read_text())["score"]
    assert score > 0.8
    assert "median distance" in (run / "report" / "index.html").read_text()
    script = ("import sightsmith, sys, json; from sightsmith.core.util.files import cache_dir\n"
              "[found] = sightsmith.load(sys.argv[1]).predict("
              "[cache_dir() / 'samples' / 'keypoints' / 'images' / 'pin_007.png'])\n"
              "print(json.dumps({item.label: item.box for item in found.objects}))")
    boxes = json.loads(environment("-c", script, str(run)))
    truth = {item["category_id"]: item["bbox"] for item in json.loads(
        (cache_dir() / "samples" / "keypoints" / "annotations.json").read_text())["annotations"]
        if item["image_id"] == 7}
    for number, name in enumerate(("head", "tip"), 1):
        left, top, right, bottom = boxes[name]
        x, y, width, height = truth[number]
        assert abs((left + right) / 2 - x - width / 2) < 10
        assert abs((top + bottom) / 2 - y - height / 2) < 10
    environment("-m", "sightsmith", "export", f"run={run}", "format=onnx")
    [exported] = (run / "exports").iterdir()
    [said] = json.loads(environment(str(exported / "predict.py"), str(
        cache_dir() / "samples" / "keypoints" / "images" / "pin_007.png")))
    [[head, _]] = [part["points"] for part in said["outputs"]]
    left, top, right, bottom = boxes["head"]
    assert (head[0] * said["width"], head[1] * said["height"]) == pytest.approx(
        ((left + right) / 2, (top + bottom) / 2), abs=2)  # pixels: scaled by another library
    output = environment("-m", "sightsmith", "train", f"base_run={run}", "dataset.root=sample", *fast[1:],
                         "hyper.epochs=1", f"output_dir={tmp_path / 'second'}")
    assert "matched by name" in output


@pytest.mark.parametrize("options", [{"name": "hf-hub:stranger/model"}, {"checkpoint_path": "stranger.pth"},
                                     {"pretrained": True}, {"pretrained_cfg": {"file": "stranger.pth"}}])
def test_the_options_of_a_timm_network_open_and_fetch_nothing(monkeypatch, options):
    monkeypatch.syspath_prepend(EXAMPLES / "sightsmith-timm")
    networks = importlib.import_module("sightsmith_timm.networks")
    build = partial(networks.build_network, num_classes=2, channels=3, size=32, name="resnet50d")
    assert build(drop_rate=0.5).drop_rate == 0.5
    monkeypatch.setattr(networks.timm, "create_model", None)
    with pytest.raises(UserError, match=r"no network 'hf-hub|may only be numbers"):
        build(**options)
