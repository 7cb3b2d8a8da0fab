"""What a run imports before its first line and before its first optimizer step."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SCRIPT = """
import json, os, sys
import sightsmith
from sightsmith.engine.training.trainer import Trainer

step = Trainer._optimizer_step

def first_step(trainer, *arguments):
    step(trainer, *arguments)
    print("\\n" + json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)

Trainer._optimizer_step = first_step
sightsmith.train(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> set[str]:
    folder, random = tmp_path_factory.mktemp("startup"), np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(5):
            pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "task=classification", f"dataset.root={folder / 'photos'}",
         "network=shufflenet_v2_x0_5", "network.weights=none", "image.size=32", "hyper.batch_size=4", "hyper.epochs=1",
         "trainer.precision=fp32", "trainer.memory_format=contiguous", f"output_dir={folder / 'runs'}"],
        capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


# Not torch._dynamo: torchvision.ops and every optimizer of torch import it themselves.
@pytest.mark.parametrize("module", ["sklearn", "scipy.stats", "matplotlib", "pandas", "jinja2", "optuna"])
def test_the_first_step_does_not_wait_for_what_only_scores_and_reports_use(imported, module):
    assert "torch" in imported
    assert module not in imported


FIRST_LINE = """
import json, os, sys
from sightsmith.cli import main

class Screen:
    def write(self, text):
        if text.strip():
            os.write(1, json.dumps([text, "torch" in sys.modules]).encode())
            os._exit(0)

    def flush(self):
        pass

    isatty = flush

sys.stdout = Screen()
main(["train", *sys.argv[1:]])
"""


def test_the_first_line_does_not_wait_for_torch(tmp_path):
    done = subprocess.run([sys.executable, "-c", FIRST_LINE, "task=classification", f"dataset.root={tmp_path}"],
                          capture_output=True, text=True, timeout=280)
    text, torch = json.loads(done.stdout)
    assert text.startswith("sightsmith ")
    assert "classification with " in text and str(tmp_path) in text
    assert not torch
