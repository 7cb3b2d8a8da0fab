"""The plugin guide's package, made of its code blocks: installed, listed, trained with, exported, conforming."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

GUIDE = Path(__file__).parents[1] / "docs" / "plugin-guide.md"
BLOCK = re.compile(r"^`([\w./]+)`\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PARTS = {"network.py", "index_txt.py", "dark_or_light.yaml", "which.py", "program.py"}


def blocks():
    """Pairs of a file's name and what a block of the guide adds to it."""
    return [(name, content) for name, content in BLOCK.findall(GUIDE.read_text())]


def test_each_part_takes_fewer_than_forty_lines_and_only_the_public_surface():
    hooks = iter(content for name, content in blocks() if name == "my_plugin/plugin.py")
    parts = [(name, content) for name, content in blocks() if Path(name).name in PARTS]
    assert {Path(name).name for name, _ in parts} == PARTS
    for name, content in parts:
        lines = (next(hooks) + content).splitlines()
        assert len(lines) < 40, name
        ours = {line.split()[1] for line in lines if re.match(r"\s*(from|import) sightsmith", line)}
        assert ours <= {"sightsmith.plugin"}, name


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """``run(*command)`` in a fresh environment that sees this one's packages, with the guide's package installed."""
    folder = tmp_path_factory.mktemp("guide")
    source = folder / "my-plugin"
    for name in ("my_plugin/__init__.py", "my_plugin/presets/__init__.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    for name, content in blocks():
        (source / name).parent.mkdir(exist_ok=True)
        with (source / name).open("a") as stream:
            stream.write(content + "\n")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    # Processed as this environment's own folder is, editable installs included.
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps",
                    "--no-build-isolation", str(source)], check=True)

    def run(*command, code=0):
        done = subprocess.run([python, "-m", *command], capture_output=True, text=True, cwd=folder, timeout=280,
                              check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty dark and light pictures in the guide's format."""
    root = tmp_path_factory.mktemp("photos")
    lines = []
    for number in range(20):
        label, level = (("dark", 60), ("light", 190))[number % 2]
        values = np.random.default_rng(number).normal(level, 20, (40, 40)).clip(0, 255).astype(np.uint8)
        Image.fromarray(values).save(root / f"{number}.png")
        lines.append(f"{number}.png {label}\n")
    (root / "index.txt").write_text("".join(lines))
    return root


@pytest.mark.slow
def test_it_is_listed_trains_and_is_exported(environment, photos, tmp_path):
    [row] = [row for row in json.loads(environment("sightsmith", "list", "plugins", "--json"))
             if row["distribution"] == "my-plugin"]
    assert (row["name"], row["status"]) == ("mine", "ok"), row
    for kind, name in (("networks", "three_layers"), ("formats", "index_txt"), ("presets", "dark_or_light")):
        listed = json.loads(environment("sightsmith", "list", kind, "--json"))
        assert name in {row["name"] for row in listed}
    assert re.search(r"which +FOLDER .*the dataset formats that a folder holds", environment("sightsmith", "--help"))
    assert environment("sightsmith", "which", str(photos)) == "index_txt: there is an index.txt\n"
    assert "`sightsmith which` takes one folder" in environment("sightsmith", "which", code=2)

    environment("sightsmith", "train", "preset=dark_or_light", f"dataset.root={photos}", "hyper.epochs=2",
                "trainer.precision=fp32", "trainer.memory_format=contiguous", f"output_dir={tmp_path}")
    [run] = tmp_path.iterdir()
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    output = environment("sightsmith", "export", f"run={run}", "format=program")
    [exported] = (run / "exports").iterdir()
    assert (exported / "model.pt2").is_file(), output


@pytest.mark.slow
def test_it_conforms(environment):
    environment("pytest", "-q", "-p", "no:cacheprovider", "my-plugin/tests")
