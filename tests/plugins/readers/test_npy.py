"""Arrays in .npy files: exact values, nothing unpickled, nothing allocated on a header's word."""

from __future__ import annotations

import os
import struct
import tracemalloc

import numpy as np
import pytest
from reading import probe, read_image

from sightsmith.core.contracts.image import ImageError

RNG = np.random.default_rng(0)


def saved(path, values, **options):
    np.save(path, values, **options)
    return path


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_8_bits_are_as_stored(tmp_path, shape):
    values = RNG.integers(0, 256, shape, dtype=np.uint8)
    for order in ("C", "F"):
        path = saved(tmp_path / f"{order}.npy", np.asarray(values, order=order))
        assert np.array_equal(read_image(path), values.reshape(4, 6, -1))
    assert (probe(path).width, probe(path).height, probe(path).bits) == (6, 4, 8)


def test_more_bits_are_kept(tmp_path):
    values = RNG.integers(0, 2**16, (4, 6), dtype=np.uint16)
    for kind in ("<u2", ">u2"):
        path = saved(tmp_path / "a.npy", values.astype(kind))
        assert np.array_equal(np.rint(read_image(path)[..., 0] * 65535), values)
    signed = saved(tmp_path / "s.npy", np.array([[-32768, 32767]], np.int16))
    assert read_image(signed).ravel().tolist() == [0, 1]
    assert read_image(saved(tmp_path / "b.npy", np.array([[True, False]]))).ravel().tolist() == [255, 0]


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float16, np.float32, np.float64])
def test_other_numbers_need_a_range(tmp_path, kind):
    path = saved(tmp_path / "a.npy", np.array([[0, 2, 4]], kind))
    with pytest.raises(ImageError, match=r"image.range=\[low,high\]"):
        read_image(path)
    assert read_image(path, value_range=[0, 4]).ravel().tolist() == [0, 0.5, 1]


class Pickled:
    def __reduce__(self):
        return os.mkdir, (os.environ["PICKLED"],)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.setenv("PICKLED", str(tmp_path / "unpickled"))
    path = saved(tmp_path / "a.npy", np.array([[Pickled()]], object), allow_pickle=True)
    with pytest.raises(ImageError):
        probe(path)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(("values", "message"), [
    (np.zeros(5), r"the shape \(5,\); images are"), (np.zeros((3, 40, 50), np.uint8), r"the shape \(3, 40, 50\)"),
    (np.zeros((2, 2), complex), "complex128 values"), (np.zeros((2, 2), "S3"), r"\|S3 values"),
    (np.zeros((0, 4), np.uint8), "it is 4 x 0 pixels|cannot mmap an empty")])
def test_other_arrays_are_refused(tmp_path, values, message):
    with pytest.raises(ImageError, match=message):
        probe(saved(tmp_path / "a.npy", values))


def header(text, version=1):
    text = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


@pytest.mark.parametrize(("content", "message"), [
    (header("{'descr': '|u1', 'fortran_order': False, 'shape': (10000, 10000)}"), "cannot be decoded: mmap length"),
    (header("{'descr': '|u1', 'fortran_order': False, 'shape': (100000000, 100000000)}"), "cannot be decoded"),
    (header("{'descr': '|u1', 'shape': __import__('os')}"), "cannot be decoded"),
    (b"\x93NUMPY\2\0" + struct.pack("<I", 2**31) + bytes(1000), "header of the NumPy array is too long"),
    (b"\x93NUMPY\2", "cannot be decoded"), (b"\x93NUMPY", "cannot be decoded")])
def test_damaged_headers_cost_nothing(tmp_path, content, message):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ImageError, match=message):
        probe(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("start", [b"\x93NUMPX", b"\x80\4", b"PK\3\4"])
def test_nobody_is_advised_to_unpickle(tmp_path, start):
    content = saved(tmp_path / "a.npy", np.zeros((4, 6))).read_bytes()
    (tmp_path / "a.npy").write_bytes(start + content[len(start):])
    with pytest.raises(ImageError) as error:
        probe(tmp_path / "a.npy")
    assert "begin as a NumPy array does" in str(error.value)
    assert "pickle" not in str(error.value)
