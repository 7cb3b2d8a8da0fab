"""The package list, the entry points and the import rules, which a wheel would otherwise break silently."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_every_python_folder_is_listed():
    folders = {"sightsmith", "hydra_plugins.sightsmith"}
    for top in ("core", "engine", "plugins", "conf", "presets"):
        folders |= {"sightsmith." + ".".join(path.parent.relative_to(ROOT).parts)
                    for path in (ROOT / top).rglob("__init__.py")}
        for path in (ROOT / top).rglob("*"):
            if path.is_dir() and path.name != "__pycache__" and any(path.glob("*.py")):
                assert (path / "__init__.py").is_file(), f"{path} has no __init__.py"
    assert set(SETUP["options"]["packages"].split()) == folders


@pytest.mark.parametrize("name", ["core", "engine", "plugins", "conf", "presets"])
def test_a_bare_import_is_refused(name):
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert f"import sightsmith.{name} instead" in done.stderr


@pytest.mark.parametrize("arguments", [
    ["--help"], ["list", "networks"], ["list", "tasks", "--json"], ["list", "plugins"], ["list", "formats"],
    ["list", "presets"], ["list", "presets", "pneumothorax"],
    ["train", "preset=pneumothorax", "dataset.root=x", "--cfg", "job"],
    ["verify", "--help"], ["preset", "--help"], ["train", "--help"],
    ["train", "task=classification", "dataset.root=x", "--cfg", "job"],
], ids=" ".join)
def test_light_commands_import_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from sightsmith.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'mmengine', 'mmcv', 'accelerate', 'sklearn', 'numpy', 'matplotlib',\n"
        "         'scipy', 'pycocotools'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
