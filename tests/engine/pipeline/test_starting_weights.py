"""A run starts from published weights, and plan, lock and console say which; where nothing is published they warn."""

from __future__ import annotations

import json

import pytest
import torch
from command_line import within
from small_runs import BOXES, LABELS, SMALL
from torchvision.models import get_model

import sightsmith
from sightsmith.engine.runs import published
from sightsmith.engine.runs.weights import file_digest


@pytest.mark.slow
def test_plan_lock_and_console_name_the_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(published, "digest_start", lambda name: "")  # the values in the file are random
    path = tmp_path / "hub" / "checkpoints" / "shufflenetv2_x0.5-f707e7126e.pth"
    path.parent.mkdir(parents=True)
    state = get_model("shufflenet_v2_x0_5").state_dict()
    torch.save(state, path)
    overrides = [override for override in LABELS if override != "network.weights=none"]
    result = sightsmith.train([*overrides, "hyper.epochs=1", f"output_dir={tmp_path / 'runs'}"])
    digest, plan, lock = file_digest(path), *(
        json.loads((result.run_dir / name).read_text()) for name in ("plan.json", "lock.json"))
    assert plan["weights"] == (f"published ({path.name}); ImageNet, licence BSD-3-Clause (torchvision); "
                               f"SHA-256 {digest[:16]}; {len(state) - 2} tensors loaded, 2 mismatched, 0 new")
    assert lock["weights"] == digest
    assert f"Starting weights from published ({path.name}): {len(state) - 2} tensors loaded" in capsys.readouterr().out


def test_training_from_nothing_that_was_not_asked_for_is_a_warning():
    overrides = [override for override in SMALL if override != "network.weights=none"]
    code, output, errors = within("train", *overrides, BOXES[0], "network=yolox_nano", "trainer.dry_run=true")
    assert code == 0, errors
    assert "warning: nothing is published for network=yolox_nano" in output
    assert "none: training starts from random weights" in output
