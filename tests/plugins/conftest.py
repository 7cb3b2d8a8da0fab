"""One thread, and pictures of grey squares whose boxes and masks are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data.masks import encode


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def squares(tmp_path):
    """Write a picture (height, width) of grey 100 with filled ``boxes``, "light" and "dark" in turn; its sample."""
    def write(name, shape, boxes=(), *, crowd=(), dtype=np.uint8, tile=None) -> Sample:
        values = np.full(shape, 100, dtype)
        objects = []
        for number, (left, top, right, bottom) in enumerate(boxes):
            values[top:bottom, left:right] = (240, 10)[number % 2]
            mask = np.zeros(shape, bool)
            mask[top:bottom, left:right] = True
            objects.append(Object(("light", "dark")[number % 2], (left, top, right, bottom), encode(mask),
                                  crowd=number in crowd))
        path = tmp_path / f"{name}.png"
        Image.fromarray(values * np.array(257 if dtype == np.uint16 else 1, dtype)).save(path)
        labels = tuple(sorted({item.label for item in objects if not item.crowd}))
        return Sample(path, path.name, labels, objects=tuple(objects), tile=tile)

    return write


@pytest.fixture
def configure():
    """A configuration without augmentation but what is named: ``configure("fastscnn", size=64, rotation=10)``."""
    from sightsmith.core.contracts.schema import AugmentConfig, ColorJitterConfig, Config, ImageConfig, NetworkConfig

    def make(network, *, size, windows=(), **augment) -> Config:
        still = {"horizontal_flip": False, "resized_crop": False, "translation": 0.0, "rotation": 0.0,
                 "color_jitter": ColorJitterConfig(0, 0, 0, 0)}
        return Config(name="test", network=NetworkConfig(network, "none"), augment=AugmentConfig(**(still | augment)),
                      image=ImageConfig(size=size, windows=list(windows)))

    return make


@pytest.fixture
def fake_distribution(tmp_path, monkeypatch):
    """``fake_distribution("my_plugin", source)``: a module as if it were installed with a plugin's entry point."""
    names = []

    def install(name: str, source: str) -> None:
        folder = tmp_path / "site"
        metadata = folder / f"{name}-0.1.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{name}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        (metadata / "entry_points.txt").write_text(f"[sightsmith.plugins]\n{name} = {name}\n")
        monkeypatch.syspath_prepend(str(folder))
        names.append(name)
        _forget()

    def _forget():
        getattr(load_plugins, "cache_clear", lambda: None)()

    yield install
    for name in names:
        sys.modules.pop(name, None)
    monkeypatch.undo()
    _forget()
