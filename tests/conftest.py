"""What every test has: one thread a process, a cache of its own, Hydra's globals put back."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest
from hydra.core.global_hydra import GlobalHydra


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Embedded data sets and archives go to a folder of this test session."""
    os.environ["SIGHTSMITH_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    return


@pytest.fixture(autouse=True)
def _hydra_restored():
    yield
    assert not GlobalHydra.instance().is_initialized(), "a test left Hydra initialised"
