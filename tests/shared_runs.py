"""Runs that several tests look at: each is trained once for all workers of a test session.

Who changes such a run, or writes into its folder, takes a copy first: :func:`copied`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from blank_plots import DRAW
from filelock import FileLock
from matplotlib.backends.backend_agg import FigureCanvasAgg
from small_runs import BOXES, COMMON, LABELS, MAPS, SMALL
from small_runs import photos as write_photos
from stopwatch import shared_time

import sightsmith
from sightsmith.engine.pipeline.evaluate import evaluate


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory) -> Path:
    """That of all workers together."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def once(session_folder):
    """``once(name, make)``: the folder that ``make(folder)`` filled, in whichever worker came first."""
    def get(name: str, make: Callable[[Path], object]) -> Path:
        folder = session_folder / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        done = folder.with_suffix(".done")
        with shared_time(), FileLock(f"{folder}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                with mock.patch.object(FigureCanvasAgg, "print_png", DRAW):
                    make(folder)
                done.touch()
        return folder
    return get


@pytest.fixture(scope="session")
def trained(once):
    """``trained(name, *overrides)``: the result of the run of these, trained in whichever worker came first."""
    def get(name: str, *overrides: str):
        [run] = once(name, lambda folder: sightsmith.train([*overrides, f"output_dir={folder}"])).iterdir()
        return sightsmith.load(str(run))
    return get


@pytest.fixture(scope="session")
def evaluated(once):
    """``evaluated(name, result)``: the report of the evaluation of ``result`` on its own data set."""
    def get(name: str, result) -> Path:
        [folder] = once(f"{name}_evaluation", lambda folder: evaluate(result, output_dir=folder)).iterdir()
        return folder / "index.html"
    return get


def copied(result, folder: Path):
    """``result`` with its run copied to ``folder``."""
    return sightsmith.load(str(shutil.copytree(result.run_dir, folder / result.run_dir.name)))


@pytest.fixture(scope="session")
def digits(trained):
    return trained("digits", *LABELS)


@pytest.fixture(scope="session")
def boxes(trained):
    return trained("boxes", *SMALL, *BOXES)


@pytest.fixture(scope="session")
def maps(trained):
    return trained("maps", *SMALL, *MAPS)


@pytest.fixture(scope="session")
def box_tiles(trained):
    return trained("box_tiles", *SMALL, *BOXES, "dataset.tile=40")


@pytest.fixture(scope="session")
def mask_tiles(trained):
    return trained("mask_tiles", *SMALL, "task=detection", "network=rtmdet_ins_tiny", "dataset.tile=40")


@pytest.fixture(scope="session")
def map_tiles(trained):
    return trained("map_tiles", *SMALL, *MAPS, "dataset.tile=40", "dataset.tile_overlap=25")


@pytest.fixture(scope="session")
def photos(once):
    return once("photos", write_photos)


@pytest.fixture(scope="session")
def photo_masks(photos, trained):
    """A detector of boxes and masks that has learnt something."""
    return trained("photo_masks", *COMMON, "network=rtmdet_ins_tiny", "task=detection",
                   f"dataset.root={photos / 'boxes'}", "dataset.validation_percentage=30",
                   "hyper.learning_rate=0.002", "hyper.epochs=22")


@pytest.fixture(scope="session")
def photo_boxes(photos, trained):
    return trained("photo_boxes", *COMMON, *BOXES, f"dataset.root={photos / 'boxes'}",
                   "dataset.validation_percentage=30", "hyper.learning_rate=0.002", "hyper.epochs=12")


@pytest.fixture(scope="session")
def photo_tiles(photos, trained):
    return trained("photo_tiles", *COMMON, *BOXES, f"dataset.root={photos / 'boxes'}", "dataset.tile=64",
                   "hyper.learning_rate=0.002", "hyper.epochs=5")


@pytest.fixture(scope="session")
def photo_maps(photos, trained):
    """A segmenter that has learnt something."""
    return trained("photo_maps", *COMMON, "network=segformer_b0", "task=segmentation",
                   f"dataset.root={photos / 'maps'}", "dataset.validation_percentage=40", "image.size=128",
                   "hyper.learning_rate=0.001", "hyper.epochs=5", "hyper.batch_size=2")
