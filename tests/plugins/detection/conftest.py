"""A detection task on the squares."""

from __future__ import annotations

import pytest

from sightsmith.core.plugins import load_plugins
from sightsmith.plugins.detection.task import DetectionTask


@pytest.fixture
def make_task(configure):
    def make(network="rtmdet_tiny", *, size=64, **settings) -> DetectionTask:
        record = load_plugins().network(network)
        return DetectionTask(configure(network, size=size, **settings), record, ("light", "dark"))

    return make
