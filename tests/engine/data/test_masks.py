"""Masks: encodings there and back, polygons filled, damaged run lengths refused, classes painted."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import picture_values

from sightsmith.core.contracts.annotation import Object, Polygons, RunLengths, SemanticMask
from sightsmith.core.contracts.dataset import Sample
from sightsmith.engine.data.mask_files import MaskError
from sightsmith.engine.data.masks import (
    area,
    box,
    class_numbers,
    decode,
    encode,
    encoded,
    from_counts,
    semantic_map,
)


@pytest.mark.parametrize("seed", range(30))
def test_an_encoded_mask_comes_back(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 90, 2)
    values = random.random((height, width)) < random.random()
    values = np.kron(values, np.ones((9, 9))) > 0 if seed % 3 == 0 else values
    mask = encode(values)
    assert np.array_equal(decode(mask, *values.shape), values)
    assert area([mask]) == values.sum()


def test_a_large_mask_and_an_empty_one():
    values = np.zeros((4096, 4096), bool)
    values[4000, 4001] = True
    assert np.array_equal(decode(encode(values), 4096, 4096), values)
    assert box(encode(values)) == (4001, 4000, 4002, 4001)
    empty = encode(np.zeros((5, 7), bool))
    assert (area([empty]), box(empty), decode(empty, 5, 7).any()) == (0, (0, 0, 0, 0), False)


def test_run_lengths_go_down_the_columns():
    expected = np.zeros((3, 4), bool)
    expected[1:, 0] = expected[:2, 1] = True
    mask = from_counts([1, 4, 7], 3, 4)
    assert np.array_equal(decode(mask, 3, 4), expected)
    assert mask == encode(expected)
    assert area([mask, encode(~expected), mask]) == 12


@pytest.mark.parametrize("counts", [b"", b"\xff", b"o", b"oooooooooo1", b"1", b"\x00\x00", b"P1", b"i0i0"])
def test_damaged_run_lengths_are_refused(counts):
    with pytest.raises(MaskError):
        decode(RunLengths(5, 5, counts), 5, 5)


def test_no_bytes_do_harm():
    random = np.random.default_rng(0)
    for _ in range(3000):
        counts = bytes(random.integers(40, 120, random.integers(0, 30)).tolist())
        with suppress(MaskError):
            assert decode(RunLengths(5, 5, counts), 5, 5).shape == (5, 5)


@pytest.mark.parametrize("counts", [[], [26], [20, -1, 6], [24.0, 1], [True, 24], ["25"], [10**30]])
def test_counts_fill_the_mask(counts):
    with pytest.raises(MaskError):
        from_counts(counts, 5, 5)


def test_polygons_are_filled_and_joined():
    mask = Polygons(((1, 1, 4, 1, 4, 3, 1, 3), (6, 0, 8, 0, 8, 2, 6, 2)))
    expected = np.zeros((5, 8), bool)
    expected[1:3, 1:4] = expected[:2, 6:8] = True
    assert np.array_equal(decode(mask, 5, 8), expected)
    assert mask.extent() == (1, 0, 8, 3)
    beyond = Polygons(((-1e300, -5, 1e300, -5, 1e300, 1e300, -1e300, 1e300),))
    assert decode(beyond, 5, 8).all()


@pytest.mark.parametrize("rings", [
    (), ((),), ((1, 2, 3, 4),), ((1, 2, 3, 4, 5, 6, 7),), ((1, 2, 3, 4, 5, float("nan")),)])
def test_polygons_that_cannot_be_filled(rings):
    with pytest.raises(MaskError):
        encoded(Polygons(rings), 5, 8)


def save(folder: Path, values, mode=None) -> Path:
    path = folder / "map.png"
    image = Image.fromarray(values, mode=mode)
    if mode == "P":
        image.putpalette(list(range(255, -1, -1)) * 3)
    image.save(path)
    return path


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint8, "L"), (np.uint8, "P"), (np.uint16, None)])
def test_a_picture_gives_values_and_palettes_their_indices(dtype, mode, tmp_path):
    values = np.arange(20, dtype=dtype).reshape(4, 5)
    found, colours = picture_values(save(tmp_path, values, mode))
    assert np.array_equal(found, values)
    assert not colours


def test_a_colour_picture_gives_its_colours(tmp_path):
    found, colours = picture_values(save(tmp_path, np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8)))
    assert found.tolist() == [[0, 0x010203]]
    assert colours


def test_a_class_map_is_numbered(tmp_path):
    path = save(tmp_path, np.array([[0, 7, 9, 255]], np.uint8))
    semantic_mask = SemanticMask(path, "map.png", ((0, None), (7, "b"), (9, "a")))
    assert class_numbers(semantic_mask, ("a", "b"), 1, 4).tolist() == [[0, 2, 1, 255]]
    with pytest.raises(MaskError, match="semantic mask is 4 x 1 px"):
        class_numbers(semantic_mask, ("a", "b"), 4, 1)
    with pytest.raises(MaskError, match="values without a class: 9"):
        class_numbers(SemanticMask(path, "map.png", ((0, None), (7, "b"))), ("a", "b"), 1, 4)


def square(label, left, **keys):
    ring = (left, 0, left + 4, 0, left + 4, 4, left, 4)
    return Object(label, (left, 0, left + 4, 4), Polygons((ring,)), **keys)


def test_later_objects_over_earlier_and_all_over_crowds():
    sample = Sample(Path("x"), "x", objects=(square("a", 0), square("b", 2), square("a", 5, crowd=True)))
    painted = semantic_map(sample, ("a", "b"), 5, 10)
    assert painted[0].tolist() == [1, 1, 2, 2, 2, 2, 255, 255, 255, 0]
    assert not painted[4].any()
    assert painted.dtype == np.uint8


def test_what_cannot_be_painted():
    with pytest.raises(MaskError, match="a box but no mask"):
        semantic_map(Sample(Path("x"), "x", objects=(Object("a", (0, 0, 1, 1)),)), ("a",), 5, 5)
    with pytest.raises(MaskError, match="at most 254"):
        semantic_map(Sample(Path("x"), "x"), [str(number) for number in range(255)], 5, 5)
