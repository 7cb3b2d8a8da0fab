"""Trainings one after the other in a process leave nothing behind that changes the next."""

from __future__ import annotations

import pytest
from processes import command
from small_runs import BOXES, LABELS, MAPS, SMALL

import sightsmith

RUNS = {
    "labels": [*LABELS, "trainer.seed=3", "hyper.ema_decay=0.9", "augment.color_jitter.hue=0.1"],
    "boxes": [*SMALL, *BOXES],
    "maps": [*SMALL, *MAPS, "hyper.clip_grad_norm=1"],
    "again": [*LABELS, "augment.resized_crop=true", "hyper.epochs=1"],
}


@pytest.mark.slow
def test_each_comes_to_the_weights_of_a_process_of_its_own(tmp_path):
    for name, overrides in RUNS.items():
        result = sightsmith.train([*overrides, f"output_dir={tmp_path / 'together'}", f"name={name}"])
        next(iter(result.predict(sorted(result.run_dir.rglob("*.png"))[:1])))  # which builds the model in this process
        result = sightsmith.evaluate(result, split="validation")
    for name, overrides in RUNS.items():
        code, output, errors = command("train", *overrides, f"output_dir={tmp_path / 'alone'}", f"name={name}")
        assert code == 0, output + errors
    for name in RUNS:
        [one], [other] = (list(tmp_path.glob(f"{folder}/*-{name}/model/*.safetensors"))
                          for folder in ("together", "alone"))
        assert one.read_bytes() == other.read_bytes(), f"{name} after other trainings"
