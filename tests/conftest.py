"""What every test has: one thread a process, a cache of its own, Hydra's globals put back, and a limit of time."""

from __future__ import annotations

import gc
import logging
import os
import sys
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import lru_cache, wraps
from importlib import import_module
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import mmengine  # noqa: F401  by pytest's own process first: yapf's cache, written now, is not safe to read meanwhile
import psutil
import pytest
from blank_plots import BLANK_PLOTS, DRAW, save_blank
from hydra.core.global_hydra import GlobalHydra
from matplotlib.backends.backend_agg import FigureCanvasAgg
from processes import HEAVY
from stopwatch import SECONDS, own_time

from sightsmith.core.contracts.records import PresetFolder
from sightsmith.core.plugins import manager
from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.training import benchmark
from sightsmith.plugins.classification import plugin as classification
from sightsmith.presets import plugin as presets

pytest_plugins = ["shared_runs"]
KEPT_PROCESSES = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
"""What Python itself keeps until the end of the process that it serves."""


def pytest_addoption(parser):
    # Given by `make test` alone: what is marked slow may take its time, and one test by hand may too.
    parser.addoption("--seconds", type=float, default=None,
                     help="fail a test that takes longer and is not marked slow")


def pytest_collection_finish(session):
    if session.config.getoption("seconds") is not None:  # else whichever test comes first would take as long
        for name in HEAVY:
            import_module(name)
    gc.freeze()  # else each training looks for garbage among all that is imported


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    with own_time(request.node) if fixturedef.scope == "function" else nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    with own_time(item):
        result = yield
    limit, seconds = item.config.getoption("seconds"), item.stash[SECONDS]
    if limit and not item.get_closest_marker("slow") and seconds > limit:
        pytest.fail(f"It took {seconds:.1f} s, more than {limit:g}: make it faster, or mark it slow", pytrace=False)
    return result


@pytest.fixture(autouse=True, scope="session")
def _own_cache(session_folder):
    """Embedded data sets and archives go to a folder of this test session."""
    os.environ["SIGHTSMITH_CACHE"] = str(session_folder / "cache")


@pytest.fixture(autouse=True, scope="session")
def _no_workers_by_measurement():
    """``trainer.num_workers=auto`` would start processes in whichever test happens to measure a slow load, on cores
    that other tests use."""
    with mock.patch.object(benchmark, "MOST_WORKERS", 0):
        yield


@pytest.fixture(autouse=True, scope="session")
def _entry_points_are_read_once():
    """Of each path: whenever plugins are loaded, all distributions are looked through."""
    entry_points = manager.entry_points
    read = lru_cache(lambda group, path: entry_points(group=group))
    with mock.patch.object(manager, "entry_points", lambda group: read(group, tuple(sys.path))):
        yield


@pytest.fixture(autouse=True, scope="session")
def _plugins_are_made_once():
    """Of the same modules with the same hooks: else each training composes its task's defaults anew."""
    @lru_cache(maxsize=4)
    def of(loaded):
        return make([(provider, lambda module=module: module) for provider, module, *_ in loaded])

    @wraps(manager.Plugins)
    def once(candidates):
        candidates = list(candidates)
        try:
            modules = [(provider, load()) for provider, load in candidates]
        except Exception:  # a broken plugin, which is told each time
            return make(candidates)
        return of(tuple((provider, module, *(value for name, value in vars(module).items()
                                             if name.startswith("sightsmith_"))) for provider, module in modules))

    make = manager.Plugins
    with mock.patch.object(manager, "Plugins", once):
        yield


@pytest.fixture(autouse=True, scope="session")
def _plots_are_blank():
    """In processes that tests start, too: drawing them is a third of a short run. The runs that tests share have drawn
    ones."""
    with mock.patch.dict(os.environ, {BLANK_PLOTS: "yes"}), mock.patch.object(FigureCanvasAgg, "print_png", save_blank):
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_process_is_left():
    yield
    gc.collect()  # of loaders, whose workers end with them
    left = []
    for process in psutil.Process().children():
        with suppress(psutil.Error):  # it has just ended
            if not any(name in " ".join(process.cmdline()) for name in KEPT_PROCESSES):
                left.append(str(process))
                process.kill()
    assert not left, "tests of this worker left these processes"


@pytest.fixture(scope="session")
def plugins():
    """The installed plugins."""
    return load_plugins()


@pytest.fixture(autouse=True)
def _hydra_restored():
    logging.getLogger().setLevel(logging.WARNING)  # a command that a shared run needed has set it higher
    yield
    assert not GlobalHydra.instance().is_initialized(), "a test left Hydra initialised"


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
def drawn_plots(monkeypatch):
    """This test looks at plots, so that they are drawn."""
    monkeypatch.delenv(BLANK_PLOTS)
    monkeypatch.setattr(FigureCanvasAgg, "print_png", DRAW)


@pytest.fixture
def learns(monkeypatch):
    """``learns("boxes")``: the task of this test learns from boxes, whatever it does with them."""
    def change(annotation: str) -> None:
        [record] = classification.sightsmith_tasks()
        monkeypatch.setattr(classification, "sightsmith_tasks",
                            hookimpl(lambda: [replace(record, annotation=annotation)]))
    return change
