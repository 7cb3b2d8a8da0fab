"""Tiles cover their image, overlap as asked, and keep the objects that reach into them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.engine.data.tiling import tiled


def cut(width, height, side, overlap, objects=()):
    info = ImageInfo(width, height, 3, 8, 1, None, None, 255.0, ("0",))
    labels = tuple(sorted({item.label for item in objects if not item.crowd}))
    sample = Sample(Path("a.png"), "a.png", labels, objects=tuple(objects))
    return tiled([sample], {"a.png": info}, side, overlap)


@pytest.mark.parametrize(("width", "height"), [(100, 100), (257, 64), (65, 200), (1000, 333)])
@pytest.mark.parametrize("overlap", [0, 20, 50])
def test_every_pixel_is_covered(width, height, overlap):
    seen = np.zeros((height, width), int)
    for sample in cut(width, height, 64, overlap):
        left, top, across, down = sample.tile
        assert across <= 64 and down <= 64
        assert left + across <= width and top + down <= height
        seen[top:top + down, left:left + across] += 1
    assert seen.min() == 1
    if overlap == 0:
        assert seen.max() == 1


def test_neighbours_share_what_was_asked():
    lefts = [sample.tile[0] for sample in cut(300, 64, 64, 25)]
    assert all(64 - (after - before) >= 16 for before, after in zip(lefts, lefts[1:], strict=False))


def test_a_small_image_stays_whole():
    [sample] = cut(64, 40, 64, 20)
    assert sample.tile is None
    assert sample.key == "a.png"


def test_objects_and_labels_are_those_of_the_tile():
    objects = (Object("left", (0, 0, 10, 10)), Object("both", (60, 10, 70, 20)),
               Object("crowd", (0, 0, 5, 5), crowd=True))
    first, second = cut(128, 64, 64, 0, objects)
    assert [item.label for item in first.objects] == ["left", "both", "crowd"]
    assert first.labels == ("both", "left")
    assert second.labels == ("both",)
    assert {first.key, second.key} == {"a.png@0,0", "a.png@64,0"}
    assert first.image == second.image == "a.png"
