"""Tasks on pictures of squares, with augmentations of ``augment.extra``."""

from __future__ import annotations

import pytest

from sightsmith.core.contracts.schema import TaskConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data.augmentations import build_augmentation
from sightsmith.plugins.classification.settings import ClassificationConfig

NETWORKS = {"classification": "resnet18", "detection": "rtmdet_tiny", "masks": "rtmdet_ins_tiny",
            "segmentation": "fastscnn"}


@pytest.fixture
def make_data(configure):
    """``make_data("masks", samples, size=80, affine={"scale": 0.5})``: the training data set; each augmentation has
    probability 1 unless it says another. ``names`` are the classes."""

    def make(kind, samples, *, size=80, training=True, windows=(), multi_label=False, **extra):
        plugins = load_plugins()
        name = "detection" if kind == "masks" else kind
        config = configure(NETWORKS[kind], size=size, windows=windows)
        config.task = (ClassificationConfig if name == "classification" else TaskConfig)(name)
        record = plugins.task(name)
        made = [build_augmentation(plugins.augmentation(augmentation), {"probability": 1.0, "closing": 0.0} | options)
                for augmentation, options in extra.items()]
        task = record.make(record, config, plugins.network(NETWORKS[kind]), ("light", "dark"), multi_label, made)
        return task.dataset(samples, training=training)

    return make
