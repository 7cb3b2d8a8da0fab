"""The conformance suite on this plugin, and tests of the task."""

from __future__ import annotations

import torch
from sightsmith_keypoints.model import located, place_losses

from sightsmith.testing import PluginConformance


class TestPlugin(PluginConformance):
    distribution = "sightsmith-keypoints"


def test_a_point_is_where_its_map_is_highest():
    logits = torch.zeros(1, 2, 8, 16)
    logits[0, 0, 2, 12], logits[0, 1, 7, 0] = 50, 50
    assert located(logits)[0, :, :2].tolist() == [[12.5 / 16, 2.5 / 8], [0.5 / 16, 7.5 / 8]]
    points = torch.tensor([[[0.79, 0.3], [float("nan"), 0.2]]])
    losses = place_losses(logits, points)
    assert losses[0, 0] < 1e-6
    assert losses[0, 1].isnan()
    assert place_losses(logits, torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])).min() > 10
