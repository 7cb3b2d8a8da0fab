"""A segmentation task on the squares."""

from __future__ import annotations

import pytest

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.plugins.segmentation.task import SegmentationTask


@pytest.fixture
def make_task(configure):
    def make(network="fastscnn", *, size=64, **settings) -> SegmentationTask:
        plugins = load_plugins()
        return SegmentationTask(plugins.task("segmentation"), configure(network, size=size, **settings),
                             plugins.network(network), ("light", "dark"))

    return make
