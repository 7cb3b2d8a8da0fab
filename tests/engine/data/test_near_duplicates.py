"""Images that look alike are found, others are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data import near_duplicates as module
from sightsmith.engine.data.near_duplicates import near_duplicates


def scene(seed: int) -> Image.Image:
    """A smooth picture of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)


def test_what_was_saved_again_is_found(tmp_path: Path, monkeypatch) -> None:
    pictures = {f"{seed}.png": scene(seed) for seed in range(40)}
    pictures["resized.png"] = scene(3).resize((80, 60))
    pictures["brighter.png"] = ImageEnhance.Brightness(scene(5)).enhance(1.1)
    samples = []
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        samples.append(Sample(tmp_path / name, name))
    scene(7).save(tmp_path / "again.jpg", quality=60)
    samples.append(Sample(tmp_path / "again.jpg", "again.jpg"))
    found = near_duplicates(samples, ImageConfig())
    assert {(pair.first.name, pair.second.name) for pair in found} == {
        ("3.png", "resized.png"), ("5.png", "brighter.png"), ("7.png", "again.jpg")}
    assert [pair.distance for pair in found] == sorted(pair.distance for pair in found)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert near_duplicates(samples, ImageConfig()) == found
