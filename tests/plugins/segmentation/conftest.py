"""A segmentation task, and pictures of grey squares with known maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sightsmith.core.annotation import Object
from sightsmith.core.dataset import Sample
from sightsmith.core.masks import encode
from sightsmith.core.plugins import load_plugins
from sightsmith.core.schema import AugmentConfig, ColorJitterConfig, Config, ImageConfig, NetworkConfig, TaskConfig
from sightsmith.plugins.segmentation.task import SegmentationTask

CLASSES = ("light", "dark")
STILL = {"horizontal_flip": False, "resized_crop": False, "translation": 0.0, "rotation": 0.0,
         "color_jitter": ColorJitterConfig(0, 0, 0, 0)}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_task():
    """``make_task("fastscnn", size=64, rotation=10)``: without augmentation but what is named."""
    def make(network="fastscnn", *, size=64, config=None, **augment) -> SegmentationTask:
        settings = Config(task=TaskConfig("segmentation"), name="test", image=ImageConfig(size=size),
                          network=NetworkConfig(network, "none", {}, config), augment=AugmentConfig(**(STILL | augment)))
        return SegmentationTask(settings, load_plugins().network(network), CLASSES)

    return make


@pytest.fixture
def squares(tmp_path):
    """A picture (height, width) of grey 100 with filled boxes, light and dark in turn, and its sample."""
    def write(name, shape, boxes=(), *, crowd=(), tile=None) -> Sample:
        values = np.full(shape, 100, np.uint8)
        objects = []
        for number, (left, top, right, bottom) in enumerate(boxes):
            values[top:bottom, left:right] = (240, 10)[number % 2]
            mask = np.zeros(shape, bool)
            mask[top:bottom, left:right] = True
            objects.append(Object(CLASSES[number % 2], (left, top, right, bottom), encode(mask),
                                  crowd=number in crowd))
        path = tmp_path / f"{name}.png"
        Image.fromarray(values).save(path)
        labels = tuple(sorted({item.label for item in objects if not item.crowd}))
        return Sample(path, path.name, labels, objects=tuple(objects), tile=tile)

    return write
