"""`ulimit -f`: what does not fit is one sentence, and nothing is left half-written."""

from __future__ import annotations

import resource
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from command_line import within
from PIL import Image

from sightsmith.engine.report.predictions_page import write_thumbnail
from sightsmith.plugins.exporters.torchscript import TorchScript


@contextmanager
def limited(size):
    """Files of at most ``size`` bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture(scope="module")
def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))


def test_a_thumbnail_that_does_not_fit_is_an_error(noise, tmp_path):
    """Pillow writes a part of a JPEG without a word."""
    with limited(4096), pytest.raises(OSError, match="File too large"):
        write_thumbnail(noise, tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_torchscript_that_does_not_fit_is_an_error(tmp_path):
    """PyTorch ends the process."""
    class Exporter:
        outputs = ("y",)
        module = torch.nn.Linear(100, 100)
        traceable = nullcontext

    with limited(4096), pytest.raises(OSError, match="File too large"):
        TorchScript().write(Exporter(), torch.zeros(1, 100), tmp_path / "a.pt", each_image=False)


@pytest.mark.parametrize(("form", "size"), [("coco", 1024), ("coco", 20_000), ("parquet", 4096)])
def test_predictions_that_do_not_fit(form, size, digits, noise, tmp_path):
    (tmp_path / "in").mkdir()
    noise.crop((0, 0, 100, 100)).save(tmp_path / "in" / "a.png")
    with limited(size):
        code, _, errors = within("predict", f"run={digits.run_dir}", f"input={tmp_path / 'in'}", f"format={form}",
                                 f"output_dir={tmp_path / 'out'}")
    assert code == 1
    assert errors.startswith("A file is larger than this system allows") and "Traceback" not in errors
    assert errors.endswith("Raise `ulimit -f`, or write to another file system.\n")
    assert not [path for path in tmp_path.rglob(".*") if path.name != "."]


def test_a_preset_that_does_not_fit(digits, tmp_path):
    with limited(20_000):
        code, _, errors = within("preset", "create", f"run={digits.run_dir}", "name=mine",
                                 f"output_dir={tmp_path / 'out'}")
    assert code == 1 and "A file is larger than this system allows" in errors
    assert not list((tmp_path / "out").iterdir())
