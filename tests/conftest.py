"""What every test has: one thread a process, a cache of its own, Hydra's globals put back."""

from __future__ import annotations

import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import mmengine  # noqa: F401  by pytest's own process first: yapf's cache, written now, is not safe to read meanwhile
import pytest
from hydra.core.global_hydra import GlobalHydra

from sightsmith.core.contracts.records import PresetFolder
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.plugins.classification import plugin as classification
from sightsmith.presets import plugin as presets


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Embedded data sets and archives go to a folder of this test session."""
    os.environ["SIGHTSMITH_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    return


@pytest.fixture(scope="session")
def plugins():
    """The installed plugins."""
    return load_plugins()


@pytest.fixture(autouse=True)
def _hydra_restored():
    yield
    assert not GlobalHydra.instance().is_initialized(), "a test left Hydra initialised"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A run of the embedded digits, trained once a module."""
    from test_evaluate import LABELS

    import sightsmith

    return sightsmith.train([*LABELS, f"output_dir={tmp_path_factory.mktemp('runs')}"])


@pytest.fixture
def preset_folder(tmp_path, monkeypatch):
    """A folder whose presets are installed, and no others."""
    package = f"presets_{tmp_path.name}"  # of its own name: Python imports it once
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(presets, "sightsmith_presets", hookimpl(lambda: [PresetFolder(package)]))
    return tmp_path / package


@pytest.fixture
def learns(monkeypatch):
    """``learns("boxes")``: the task of this test learns from boxes, whatever it does with them."""
    def change(annotation: str) -> None:
        [record] = classification.sightsmith_tasks()
        monkeypatch.setattr(classification, "sightsmith_tasks",
                            hookimpl(lambda: [replace(record, annotation=annotation)]))
    return change
