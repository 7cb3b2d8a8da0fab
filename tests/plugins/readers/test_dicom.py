"""Reading DICOM: every encoding, rescale and windows in numbers, one sentence for whatever is broken."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from damaged_images import refusals
from dicom_files import dicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from reading import probe, read_image

from sightsmith.core.contracts.image import ImageError

TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"


def stock(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert found is not None, name
    return Path(found)


def items(**elements: object) -> list[Dataset]:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


@pytest.mark.parametrize(("name", "shape"), [
    ("SC_rgb_jpeg_dcmtk.dcm", (100, 100, 3)),  # JPEG baseline
    ("SC_rgb_jpeg_gdcm.dcm", (100, 100, 3)),  # JPEG lossless
    ("SC_rgb_gdcm_KY.dcm", (100, 100, 3)),  # JPEG 2000
    ("SC_rgb_jls_lossy_line.dcm", (100, 100, 3)),  # JPEG-LS
    ("SC_rgb_rle.dcm", (100, 100, 3)),
    ("SC_ybr_full_422_uncompressed.dcm", (100, 100, 3)),
])
def test_dicom_colour_encodings_agree(name: str, shape: tuple[int, ...]) -> None:
    values = read_image(stock(name))
    reference = read_image(stock("SC_rgb_rle.dcm"))
    assert values.dtype == np.uint8 and values.shape == shape
    # The lossy ones bleed at the edges of the colour bars.
    assert np.median(np.abs(values.astype(int) - reference)) <= 4 and values[5, 50].tolist() != values[85, 50].tolist()
    assert np.abs(values[5, 50].astype(int) - (255, 0, 0)).max() <= 4


def test_dicom_16_bit_colour_keeps_its_bits() -> None:
    values = read_image(stock("SC_rgb_rle_16bit.dcm"))
    stored = pydicom.dcmread(stock("SC_rgb_rle_16bit.dcm")).pixel_array
    assert values.dtype == np.float32 and np.array_equal(np.rint(values * 65535), stored)


@pytest.mark.slow
def test_dicom_frames() -> None:
    path = stock("examples_ybr_color.dcm")
    info = probe(path)
    assert (info.width, info.height, info.channels, info.bits, info.frames, info.modality) == (320, 240, 3, 8, 30, "US")
    assert len(info.digests) == 30 and not np.array_equal(read_image(path, 0), read_image(path, 29))
    with pytest.raises(ImageError, match="no frame 30"):
        read_image(path, 30)


def test_dicom_palette() -> None:
    path = stock("examples_palette.dcm")
    data = pydicom.dcmread(path)
    tables = [np.frombuffer(data[f"{name}PaletteColorLookupTableData"].value, "<u2") >> 8
              for name in ("Red", "Green", "Blue")]
    expected = np.stack([table[data.pixel_array] for table in tables], axis=-1)
    values = read_image(path)
    assert values.dtype == np.uint8 and values.max() > 200 and np.array_equal(values, expected)


def plain_window(value: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, as it is written there, with y from 0 to 1."""
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0.0
    if value > centre - 0.5 + (width - 1) / 2:
        return 1.0
    return (value - (centre - 0.5)) / (width - 1) + 0.5


def test_windows_are_channels_in_rescaled_units() -> None:
    path = stock("CT_small.dcm")
    windows = [[40, 400], [-600, 1500], [100, 1]]
    values = read_image(path, windows=windows)
    units = pydicom.dcmread(path).pixel_array.astype(float) - 1024
    assert values.shape == (128, 128, 3) and values.dtype == np.float32
    for channel, (centre, width) in enumerate(windows):
        expected = np.vectorize(lambda value, c=centre, w=width: plain_window(value, c, w))(units)
        assert np.allclose(values[..., channel], expected, atol=1e-6)
    with pytest.raises(ImageError, match="width below 1"):
        read_image(path, windows=[[40, 0.5]])


def test_default_window_and_range(tmp_path: Path) -> None:
    stored = np.array([[0, 1000, 4095]], np.uint16)
    rescale = {"RescaleSlope": "2", "RescaleIntercept": "-1000"}
    whole = dicom(tmp_path / "a.dcm", stored, **rescale)
    assert np.allclose(read_image(whole).ravel(), stored.ravel() / 4095)
    assert np.allclose(read_image(whole, value_range=[0, 2000]).ravel(), [0, 0.5, 1])
    own = dicom(tmp_path / "b.dcm", stored, WindowCenter=["1000.5", "5"], WindowWidth=["2001", "9"], **rescale)
    assert np.allclose(read_image(own).ravel(), [0, 0.5, 1])
    assert np.allclose(read_image(own, value_range=[-1000, 7190]).ravel(), stored.ravel() / 4095)
    assert np.allclose(read_image(own, windows=[[1000.5, 8001]], value_range=[0, 1]).ravel(), [0.25, 0.5, 1], atol=0.01)
    assert probe(own).bits == 12 and probe(own).maximum == 4095
    useless = dicom(tmp_path / "c.dcm", stored, WindowCenter="0", WindowWidth="0", **rescale)
    assert np.array_equal(read_image(useless), read_image(whole))
    signed = dicom(tmp_path / "d.dcm", np.array([[-2048, 2047]], np.int16))
    assert read_image(signed).ravel().tolist() == [0, 1]
    negative = dicom(tmp_path / "e.dcm", stored, RescaleSlope="-1", RescaleIntercept="0")
    assert np.allclose(read_image(negative).ravel(), 1 - stored.ravel() / 4095)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    stored = np.array([[0, 51, 255]], np.uint8)
    path = dicom(tmp_path / "a.dcm", stored, 8, "MONOCHROME1")
    assert read_image(path).dtype == np.uint8 and read_image(path).ravel().tolist() == [255, 204, 0]
    assert probe(path).digests != probe(dicom(tmp_path / "b.dcm", stored, 8)).digests
    windowed = read_image(stock("dicomdirtests/77654033/CR1/6154"), windows=[[1600, 2800]])
    units = pydicom.dcmread(stock("dicomdirtests/77654033/CR1/6154")).pixel_array * 0.684 + 200
    assert np.allclose(windowed[..., 0], 1 - np.vectorize(plain_window)(units, 1600, 2800), atol=1e-6)


def test_modality_table(tmp_path: Path) -> None:
    entries = np.array([0, 100, 1000, 65535], "<u2").tobytes()
    table = items(LUTDescriptor=[4, 1, 16], LUTData=entries, ModalityLUTType="HU")
    path = dicom(tmp_path / "a.dcm", np.array([[0, 1, 2, 3, 4, 9]], np.uint16), ModalityLUTSequence=table)
    assert np.allclose(read_image(path).ravel() * 65535, [0, 0, 100, 1000, 65535, 65535])


def test_enhanced_frames_have_their_own_rescale_and_window(tmp_path: Path) -> None:
    frames = [items(PixelValueTransformationSequence=items(RescaleSlope="1", RescaleIntercept=str(intercept)))[0]
              for intercept in (0, -500)]
    shared = items(FrameVOILUTSequence=items(WindowCenter="500.5", WindowWidth="1001"))
    path = dicom(tmp_path / "a.dcm", np.full((2, 1, 2), 500, np.uint16), PerFrameFunctionalGroupsSequence=frames,
                 SharedFunctionalGroupsSequence=shared)
    assert read_image(path, 0).ravel().tolist() == [0.5, 0.5] and read_image(path, 1).ravel().tolist() == [0, 0]


def test_groups_and_modality() -> None:
    info = probe(stock("CT_small.dcm"))
    assert info.modality == "CT"
    assert info.groups == ("patient 1CT1", "study 1.3.6.1.4.1.5962.1.2.1.20040119072730.12322")
    assert probe(stock("SC_rgb_jpeg_gdcm.dcm")).bits == 8


def test_32_bit_dicom_needs_a_range() -> None:
    path = stock("rtdose.dcm")
    assert probe(path).frames == 15 and probe(path).bits == 32
    with pytest.raises(ImageError, match="image.range"):
        read_image(path)
    assert read_image(path, 3, value_range=[0, 2e6]).max() < 1


@pytest.mark.parametrize(("name", "message"), [
    ("test-SR.dcm", r"the DICOM file has no image \(Comprehensive SR Storage\)"),
    ("rtstruct.dcm", r"the DICOM file has no image \(RT Structure Set Storage\)"),
    ("MR_truncated.dcm", "less than expected"),
    ("meta_missing_tsyntax.dcm", "Rows or Columns is missing"),
])
def test_dicom_without_usable_pixels(name: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        probe(stock(name))


def test_dicom_recognised_with_and_without_its_preamble(tmp_path: Path) -> None:
    whole = stock("MR_small_implicit.dcm")
    (tmp_path / "no_suffix").write_bytes(whole.read_bytes())
    assert probe(tmp_path / "no_suffix") == probe(whole)
    data = pydicom.dcmread(whole)
    bare = tmp_path / "bare.dcm"
    del data.file_meta
    data.save_as(bare, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert probe(bare).digests == probe(whole).digests
    bare.write_text("not DICOM at all")
    with pytest.raises(ImageError):
        probe(bare)


def test_digest_outlives_lossless_encodings() -> None:
    names = ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
             "MR_small_bigendian.dcm", "MR_small_implicit.dcm"]
    assert len({probe(stock(name)).digests for name in names}) == 1
    # These two are wholly clipped by their own window, which must not make them equal.
    crops = [probe(stock(f"dicomdirtests/77654033/CT2/{number}")).digests for number in (17166, 17196)]
    assert crops[0] != crops[1]


def test_sizes_are_refused_by_the_header(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="4097 frames"):
        probe(dicom(tmp_path / "a.dcm", np.zeros((2, 2), np.uint16), NumberOfFrames=4097))
    with pytest.raises(ImageError, match="20000 x 20000 pixels, more than 178,956,970 in total"):
        probe(dicom(tmp_path / "a.dcm", np.zeros((2, 2), np.uint16), Rows=20_000, Columns=20_000))


@pytest.mark.slow
def test_damaged_bytes_raise_nothing_else(tmp_path: Path) -> None:
    sources = [dicom(tmp_path / "a", np.arange(144, dtype=np.uint16).reshape(12, 12)).read_bytes()]
    sources += [stock(name).read_bytes() for name in ("MR_small_RLE.dcm", "JPEGLSNearLossless_08.dcm",
                                                      "SC_rgb_jpeg_dcmtk.dcm", "MR_small_jp2klossless.dcm")]
    assert refusals(tmp_path / "x.dcm", sources * 25, reaches=[400]) > 20


@pytest.mark.slow
def test_every_dicom_of_pydicom_is_read_or_refused() -> None:
    read = 0
    for path in sorted(path for path in TEST_FILES.rglob("*") if path.is_file()):
        try:
            info = probe(path)
        except ImageError as error:
            assert str(error).isprintable() and str(path) not in str(error)
        else:
            read += 1
            pixels = read_image(path, value_range=[0, 1e6])
            assert pixels.shape == (info.height, info.width, info.channels)
    assert read > 60


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sightsmith.plugins.readers.dicom", None)
    monkeypatch.delitem(sys.modules, "sightsmith.plugins.readers.dicom")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImageError, match=r"pip install 'sightsmith\[dicom\]'"):
        probe(shutil.copy(stock("CT_small.dcm"), tmp_path / "never-seen.dcm"))
