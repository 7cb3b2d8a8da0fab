"""The example packages: installed into an environment of their own, listed, conforming, trained with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """``run(*command)`` in a fresh environment that sees this one's packages, with the example installed beside."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # Processed as this environment's own folder is, editable installs included.
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    source = folder / "sightsmith-timm"
    shutil.copytree(EXAMPLES / "sightsmith-timm", source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps",
                    "--no-build-isolation", str(source)], check=True)

    def run(*command, cwd=folder):
        done = subprocess.run([python, "-m", *command], capture_output=True, text=True, cwd=cwd, timeout=280,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    return run


def listed(environment, kind):
    return {row["name"]: row for row in json.loads(environment("sightsmith", "list", kind, "--json"))}


def test_all_of_it_is_listed(environment):
    assert listed(environment, "plugins")["timm"] == {
        "name": "timm", "distribution": "sightsmith-timm", "version": "0.1.0", "status": "ok"}
    for kind, name in (("networks", "tf_efficientnet_lite0"), ("datasets", "name_prefix"), ("tuners", "one_at_a_time"),
                       ("loggers", "csv"), ("presets", "surface_grades")):
        assert listed(environment, kind)[name]["provider"] == "timm (sightsmith-timm 0.1.0)"
    output = environment("sightsmith", "train", "--help")
    assert "one_at_a_time" in output and "csv" in output


def test_it_conforms(environment, tmp_path):
    environment("pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "sightsmith-timm" / "tests"), cwd=tmp_path)


def test_its_parts_train_together(environment, tmp_path):
    sample = tmp_path / "photos"
    sample.mkdir()
    environment("sightsmith", "inspect", "task=classification", "dataset.root=sample")
    from sightsmith.core.files import cache_dir

    for path in sorted((cache_dir() / "samples" / "classification").rglob("*.png")):
        shutil.copy(path, sample / f"{path.parent.name}_{path.name}")
    environment("sightsmith", "train", "task=classification", f"dataset.root={sample}", "dataset.limit=60",
                "network=mobilenetv4_conv_small", "image.size=32", "hyper.epochs=1", "tuner=one_at_a_time",
                "trainer.precision=fp32", "trainer.memory_format=contiguous", "logger=[csv]", f"output_dir={tmp_path}")
    [sweep] = tmp_path.glob("*-sweep")
    assert [path.name for path in sorted(sweep.iterdir()) if path.name.isdigit()] == ["0", "1", "2", "3"]
    assert (sweep / "3" / "metrics.csv").read_text().startswith("step,name,value\n1,train/")
    assert "names of images begin with" in (sweep / "0" / "report" / "index.html").read_text()
