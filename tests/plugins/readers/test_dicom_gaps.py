"""DICOM files as they come: attributes that are missing, empty, or no numbers, padding, and too little contrast."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from dicom_files import dicom
from reading import probe, read_image
from told import told

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check

STORED = np.array([[0, 1000, 4095]], np.uint16)


@pytest.mark.parametrize("value", ["N/A", "", "nan", "inf", "40 HU"])
def test_a_window_that_is_no_number_is_ignored(tmp_path, value):
    path = dicom(tmp_path / "a.dcm", STORED)
    data = pydicom.dcmread(path)
    data.add_new("WindowCenter", "LO", value)
    data.add_new("WindowWidth", "LO", "400")
    data.save_as(path)
    assert np.allclose(read_image(path).ravel(), STORED.ravel() / 4095)


def test_a_window_that_is_damaged_in_the_file_is_ignored(tmp_path):
    path = dicom(tmp_path / "a.dcm", STORED, WindowCenter="1234", WindowWidth="400")
    path.write_bytes(path.read_bytes().replace(b"1234", b"N/A "))
    assert np.allclose(read_image(path).ravel(), STORED.ravel() / 4095)


def test_a_missing_photometric_interpretation_is_the_usual_one(tmp_path):
    path = dicom(tmp_path / "a.dcm", STORED)
    colour = dicom(tmp_path / "b.dcm", np.arange(12, dtype=np.uint8).reshape(2, 6), 8, "RGB", SamplesPerPixel=3,
                   PlanarConfiguration=0, Columns=2)
    for file in (path, colour):
        data = pydicom.dcmread(file)
        del data.PhotometricInterpretation
        data.save_as(file)
    assert np.allclose(read_image(path).ravel(), STORED.ravel() / 4095)
    assert np.array_equal(read_image(colour), np.arange(12).reshape(2, 2, 3))
    data = pydicom.dcmread(path)
    del data.SamplesPerPixel
    data.save_as(path)
    assert read_image(path).shape == (1, 3, 1)


def test_no_frames_are_one_frame_without_a_word(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probe(dicom(tmp_path / "a.dcm", STORED, NumberOfFrames=0)).frames == 1


@pytest.mark.parametrize(("kind", "padding", "photometric", "expected"), [
    (np.uint16, 65535, "MONOCHROME2", [100, 100, 3000]), (np.int16, -2000, "MONOCHROME2", [100, 100, 3000]),
    (np.uint16, 65535, "MONOCHROME1", [3000, 100, 3000])])
def test_padding_is_as_dark_as_the_image(tmp_path, kind, padding, photometric, expected):
    values = np.array([[padding, 100, 3000]]).astype(kind)
    path = dicom(tmp_path / "a.dcm", values, 16, photometric, PixelPaddingValue=padding)
    low, high = (0, 65535) if kind == np.uint16 else (-32768, 32767)
    shown = (np.array(expected) - low) / (high - low)
    assert np.allclose(read_image(path).ravel(), 1 - shown if photometric == "MONOCHROME1" else shown, atol=1e-6)
    assert probe(path).extent == (100, 3000) and probe(path).maximum == 3000
    data = pydicom.dcmread(path)
    data.add_new("PixelPaddingValue", "US", padding % 2**16)  # as some write it for signed pixels, too
    data.save_as(tmp_path / "b.dcm")
    assert probe(tmp_path / "b.dcm").digests == probe(path).digests


def test_a_range_of_padding(tmp_path):
    values = np.array([[7, 8, 9, 10, 500]], np.uint16)
    path = dicom(tmp_path / "a.dcm", values, PixelPaddingValue=9, PixelPaddingRangeLimit=7)
    assert np.allclose(read_image(path).ravel() * 4095, [10, 10, 10, 10, 500])
    everything = dicom(tmp_path / "b.dcm", values, PixelPaddingValue=0, PixelPaddingRangeLimit=4095)
    assert np.allclose(read_image(everything).ravel() * 4095, values.ravel())


def checked(root, *overrides):
    return check(compose(["task=classification", f"dataset.root={root}", *overrides], load_plugins()), load_plugins(),
                 lambda line: None)


def test_dicom_that_use_little_of_their_range_are_warned_of(tmp_path):
    random = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / "flat" / "ab"[number % 2] / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = random.integers(-1024, 3072, (20, 20)).astype(np.int16)
        values[0, :2] = -1024, 3071
        dicom(path, values, 16, Modality="CT", RescaleSlope="1", RescaleIntercept="-24")
    [warning] = told(checked(tmp_path / "flat"))
    assert warning.severity == "warning"
    assert warning.message.startswith("8 images only have values from -1048 to 3047, 6% of the range")
    assert "image.range=[-1048,3047]" in warning.hint and "image.windows=" in warning.hint
    assert not told(checked(tmp_path / "flat", "image.range=[-1048,3047]"))
    assert not told(checked(tmp_path / "flat", "image.windows=[[40,400]]"))
    for path in (tmp_path / "flat").rglob("*.dcm"):
        data = pydicom.dcmread(path)
        data.WindowCenter, data.WindowWidth = "40", "400"
        data.save_as(path)
    assert not told(checked(tmp_path / "flat"))
