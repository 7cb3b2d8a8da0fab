"""The import contracts: each fails, and names the file, where an import against it is planted in a copy of the tree."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / ".importlinter"
CONTRACTS = configparser.ConfigParser()
CONTRACTS.read(CONFIG)
NAMES = {section.rpartition(":")[2]: CONTRACTS[section]["name"] for section in CONTRACTS.sections()
         if section.startswith("importlinter:contract:")}
PLANTED = (
    ("house", {"engine/data/planted.py": "import sightsmith.plugins.formats.files"}, "sightsmith.engine.data.planted"),
    ("house", {"planted/__init__.py": ""}, "planted"),
    ("core", {"core/util/planted.py": "import sightsmith.core.contracts.task"}, "sightsmith.core.util.planted"),
    ("core", {"core/planted.py": ""}, "planted"),
    ("engine", {"engine/data/planted.py": "def late():\n    import sightsmith.engine.search.trial"},
     "sightsmith.engine.data.planted"),
    ("engine", {"engine/planted.py": ""}, "planted"),
    ("circles", {"plugins/formats/planted.py": "from sightsmith.plugins.formats import implanted",
                 "plugins/formats/implanted.py": "def late():\n    import sightsmith.plugins.formats.planted"},
     "implanted"),
    ("surface", {"plugins/formats/planted.py": "import sightsmith.engine.data.images"},
     "sightsmith.plugins.formats.planted"),
    ("surface", {"presets/planted.py": "import sightsmith.core.contracts.records"}, "sightsmith.presets.planted"),
    ("independence", {"plugins/formats/planted.py": "import sightsmith.plugins.tuners.grid"},
     "sightsmith.plugins.formats.planted"),
    ("torch", {"core/util/planted.py": "def late():\n    import torch.nn"}, "sightsmith.core.util.planted"),
    ("torch", {"engine/config/planted.py": "import torchvision"}, "sightsmith.engine.config.planted"),
    ("engine", {"engine/data/planted.py": "import sightsmith.engine.config.compose"}, "sightsmith.engine.data.planted"),
    ("hydra", {"engine/runs/planted.py": "from hydra.core import utils"}, "sightsmith.engine.runs.planted"),
    ("pluggy", {"engine/runs/planted.py": "import pluggy"}, "sightsmith.engine.runs.planted"),
    ("accelerate", {"plugins/classification/planted.py": "import accelerate.utils"},
     "sightsmith.plugins.classification.planted"),
    ("openmmlab", {"plugins/classification/planted.py": "import mmdet"}, "sightsmith.plugins.classification.planted"),
    ("mmengine", {"engine/training/planted.py": "from mmengine import model"}, "sightsmith.engine.training.planted"),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the code, laid out as it is installed."""
    package = tmp_path_factory.mktemp("tree") / "sightsmith"
    shutil.copytree(ROOT / "package_root", package, ignore=shutil.ignore_patterns("__pycache__", "hydra_plugin"))
    for part in ("core", "engine", "plugins", "conf", "presets"):
        for path in (ROOT / part).rglob("*.py"):
            target = package / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    return package


def checked(tree, contract):
    command = [Path(sys.executable).with_name("lint-imports"), CONFIG, "--contract", contract, "--no-logo",
               "--cache-dir", tree.parent / "cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tree.parent, check=False,
                          env={**os.environ, "PYTHONPATH": str(tree.parent), "COLUMNS": "300"})
    return done.returncode, done.stdout + done.stderr


def test_each_contract_has_a_planted_violation():
    assert NAMES.keys() == {contract for contract, _, _ in PLANTED}


@pytest.mark.parametrize(("contract", "files", "named"), PLANTED,
                         ids=[f"{contract}-{next(iter(files))}" for contract, files, _ in PLANTED])
def test_a_planted_violation_is_found(tree, contract, files, named):
    created = []
    try:
        for name, content in files.items():
            path = tree / name
            if not path.parent.is_dir():
                created.append(path.parent)
                path.parent.mkdir()
            path.write_text(content + "\n")
        code, output = checked(tree, contract)
    finally:
        for name in files:
            (tree / name).unlink(missing_ok=True)
        for folder in created:
            folder.rmdir()
    assert code == 1, output
    assert f"{NAMES[contract]} BROKEN" in output
    assert named in output
