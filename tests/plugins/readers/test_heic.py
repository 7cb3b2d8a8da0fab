"""HEIC by pi-heif, whose part that the reader uses is played here; an image of it would need its encoder."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from reading import probe, read_image

from sightsmith.core.contracts.image import ImageError


class Opened:
    """What ``pi_heif.open_heif`` returns: a size in pixels, and an array once it is asked for."""

    def __init__(self, values):
        self._values = values
        self.size = values.shape[1::-1]

    def __array__(self, dtype=None, copy=None):
        return self._values


@pytest.fixture
def heic(tmp_path, monkeypatch):
    """Makes a HEIC file that is decoded to an array."""
    stand_in = ModuleType("pi_heif")
    monkeypatch.setitem(sys.modules, "pi_heif", stand_in)
    monkeypatch.delitem(sys.modules, "sightsmith.plugins.readers.heic", raising=False)

    def make(name, values, brand=b"heic"):
        def opened(path, *, convert_hdr_to_8bit):
            assert path.name == name and not convert_hdr_to_8bit
            return Opened(values)

        stand_in.open_heif = opened
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(40))
        return tmp_path / name

    yield make
    sys.modules.pop("sightsmith.plugins.readers.heic", None)


def test_8_bits_are_as_decoded(heic):
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = heic("IMG_1.HEIC", values)
    assert np.array_equal(read_image(path), values)
    info = probe(path)
    assert (info.width, info.height, info.bits, info.frames, info.channels) == (8, 6, 8, 1, 3)
    assert info.reader == "sightsmith.plugins.readers.heic:HeicReader"
    assert np.array_equal(read_image(heic("named.jpg", values, b"heix")), values)  # known by content


def test_more_bits_are_kept(heic):
    values = np.random.default_rng(0).integers(0, 2**16, (6, 8, 3), dtype=np.uint16)
    path = heic("a.heif", values)
    assert probe(path).bits == 16 and np.array_equal(np.rint(read_image(path) * 65535), values)


def test_transparency_is_over_black_and_grey_is_grey(heic):
    values = np.array([[[200, 100, 50, 255], [200, 100, 50, 51]]], np.uint8)
    assert read_image(heic("a.heic", values)).tolist() == [[[200, 100, 50], [40, 20, 10]]]
    assert read_image(heic("b.heic", values[..., 0])).tolist() == [[[200], [200]]]


def test_the_size_is_checked_before_pixels_are_decoded(heic):
    path = heic("a.heic", np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)))
    with pytest.raises(ImageError, match="20000 x 20000 pixels, more than"):
        probe(path)


def test_without_the_extra(heic, monkeypatch):
    path = heic("a.heic", np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match=r"reading HEIC needs pi_heif.*: pip install 'sightsmith\[heic\]'"):
        probe(path)
