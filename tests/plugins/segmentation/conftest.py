"""A segmentation task on the squares."""

from __future__ import annotations

import pytest

from sightsmith.core.plugins import load_plugins
from sightsmith.plugins.segmentation.task import SegmentationTask


@pytest.fixture
def make_task(configure):
    def make(network="fastscnn", *, size=64, **settings) -> SegmentationTask:
        record = load_plugins().network(network)
        return SegmentationTask(configure(network, size=size, **settings), record, ("light", "dark"))

    return make
