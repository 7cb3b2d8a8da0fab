"""A task on pictures that a test writes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.schema import Config, ImageConfig, NetworkConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.plugins.classification.settings import ClassificationConfig
from sightsmith.plugins.classification.task import ClassificationTask

CLASSES = ("cat", "cow", "dog")


@pytest.fixture
def make_task():
    """A task: ``make_task("resnet18", size=32, windows=..., hyper=...)``."""

    def make(network="resnet18", *, size=None, multi_label=False, weights="none", classes=CLASSES, options=None,
             windows=(), settings=None, **parts) -> ClassificationTask:
        config = Config(task=ClassificationConfig("classification", **(settings or {})), name="test",
                        network=NetworkConfig(network, weights, options or {}),
                        image=ImageConfig(size=size, windows=list(windows)), **parts)
        plugins = load_plugins()
        return ClassificationTask(plugins.task("classification"), config, plugins.network(network), classes,
                                  multi_label)

    return make


@pytest.fixture
def write_sample(tmp_path):
    """Write (H, W) or (H, W, 3) uint8, or (H, W) uint16, and return its sample."""

    def write(name, pixels, *labels) -> Sample:
        Image.fromarray(np.asarray(pixels)).save(tmp_path / name)
        return Sample(tmp_path / name, name, labels)

    return write
