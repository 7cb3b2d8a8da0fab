"""A detection task on the squares."""

from __future__ import annotations

import pytest

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.plugins.detection.task import DetectionTask


@pytest.fixture
def make_task(configure):
    def make(network="rtmdet_tiny", *, size=64, **settings) -> DetectionTask:
        plugins = load_plugins()
        return DetectionTask(plugins.task("detection"), configure(network, size=size, **settings),
                             plugins.network(network), ("light", "dark"))

    return make
