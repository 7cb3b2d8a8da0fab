"""Near-duplicates are found, others are not; the index finds what comparing every pair finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from near_duplicates import clustered, compare_all
from PIL import Image, ImageEnhance

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.near_duplicates import MAX_DISTANCE, close_pairs, near_duplicates


def scene(seed: int) -> Image.Image:
    """A smooth picture of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)


def test_an_image_that_was_saved_again_is_found(tmp_path: Path) -> None:
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


def test_without_a_readable_image_there_is_no_pair(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    assert near_duplicates([], ImageConfig()) == []
    assert near_duplicates([Sample(tmp_path / "broken.png", "broken.png")], ImageConfig()) == []


def test_each_of_many_equal_images_is_paired_once(tmp_path: Path) -> None:
    samples = [Sample(tmp_path / f"{number}.png", f"{number}.png") for number in range(80)]
    for number, sample in enumerate(samples):
        scene(number // 40).save(sample.path)
    pairs = near_duplicates(samples, ImageConfig())
    assert len(pairs) == 78
    assert {(pair.first.name, pair.distance) for pair in pairs} == {("0.png", 0), ("40.png", 0)}
    assert {pair.second.name for pair in pairs} == {sample.name for sample in samples} - {"0.png", "40.png"}


@pytest.mark.parametrize("hashes", [
    clustered(1500), np.random.default_rng(1).integers(0, 2**64, 1500, np.uint64),
    np.repeat(clustered(60), 5), np.array([], np.uint64), np.array([7], np.uint64)],
    ids=["clusters", "random", "equal hashes", "none", "one"])
def test_the_index_finds_what_comparing_every_pair_finds(hashes) -> None:
    found = close_pairs(hashes).tolist()
    assert sorted(found) == sorted(compare_all(hashes).tolist())
    if len(hashes) == 300:
        assert sum(distance == 0 for _, _, distance in found) >= 60 * 10


def test_any_bits_up_to_the_largest_distance_may_differ() -> None:
    """Each pair of hashes differs in bits drawn at random, so that every choice of segments is the equal one once."""
    random = np.random.default_rng(2)
    for bits in range(MAX_DISTANCE + 2):
        for _ in range(200):
            first = int(random.integers(0, 2**64, dtype=np.uint64))
            second = first
            for bit in random.choice(64, bits, replace=False).tolist():
                second ^= 1 << bit
            expected = [[0, 1, bits]] if bits <= MAX_DISTANCE else []
            assert close_pairs(np.array([first, second], np.uint64)).tolist() == expected
