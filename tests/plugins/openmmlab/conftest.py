"""Registers the operators before the test modules import ``mmcv.ops``."""

from __future__ import annotations

import pytest
import torch

from sightsmith.plugins.openmmlab.ops.extension import provide_operators

provide_operators()


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
