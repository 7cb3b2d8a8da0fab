"""DICOM files of several frames, in every kind of pixel data, and those whose header is wrong about them."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pydicom
import pytest
from dicom_files import dicom
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate, encapsulate_extended
from reading import probe

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageError
from sightsmith.engine.data.images import read_frame
from sightsmith.plugins.readers import dicom as reader

GREY = np.random.default_rng(0).integers(0, 200, (5, 32, 40)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (4, 32, 40, 3)).astype(np.uint8)
SIGNED = np.random.default_rng(2).integers(-1000, 1000, (5, 32, 40)).astype(np.int16)


def frames_of(path):
    info = probe(path)
    return [read_frame(Sample(path, path.name, frame=index, reader=info.reader)).values for index in range(info.frames)]


def changed(path, **elements):
    """The file with other elements; None removes one."""
    data = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(path)
    return path


def encoded(values, kind):
    options = {"no_jp2": True} if kind == "JPEG2000" else {"quality": 100, "subsampling": 0}
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def compressed(path, values, kind, *, extended=False, fragments=1, table=True, **elements):
    """A file of ``values`` (frames, H, W[, 3]) with the elements of ``path``."""
    data, streams = pydicom.dcmread(path), [encoded(frame, kind) for frame in values]
    data.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless if kind == "JPEG2000" else uid.JPEGBaseline8Bit
    if extended:
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(streams)
    else:
        data.PixelData = encapsulate(streams, fragments_per_frame=fragments, has_bot=table)
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path)
    return changed(path, **elements)


def coloured(path, values, photometric="RGB", planar=0):
    stored = np.ascontiguousarray(values.transpose(0, 3, 1, 2) if planar else values)
    return changed(dicom(path, GREY[:len(values)], bits=8), SamplesPerPixel=3, PhotometricInterpretation=photometric,
                   PlanarConfiguration=planar, PixelData=stored.tobytes())


LAYOUTS = [{}, {"table": False}, {"fragments": 2}, {"fragments": 2, "table": False}, {"extended": True}]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("kind", "off"), [("JPEG2000", 0), ("JPEG", 2)])
def test_compressed_frames(tmp_path, kind, off, layout):
    path = compressed(dicom(tmp_path / "a.dcm", GREY, bits=8), GREY, kind, **layout)
    found = frames_of(path)
    assert len(found) == 5 and np.abs(np.stack(found)[..., 0].astype(int) - GREY).max() <= off
    assert probe(path).notes == ()


@pytest.mark.parametrize("syntax", [uid.DeflatedExplicitVRLittleEndian, uid.RLELossless,
                                    uid.ImplicitVRLittleEndian])
@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2, "RescaleIntercept": -1024}])
def test_signed_frames_with_and_without_a_slope(tmp_path, syntax, rescale):
    data = pydicom.dcmread(dicom(tmp_path / "a.dcm", SIGNED, bits=16, **rescale))
    if syntax == uid.RLELossless:
        data.compress(syntax)
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(tmp_path / "b.dcm", implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=True)
    wanted = SIGNED * 2.0 - 1024 if rescale else SIGNED
    assert np.array_equal(np.stack(frames_of(tmp_path / "b.dcm"))[..., 0], wanted)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_frames_in_colour(tmp_path, photometric, planar):
    values = COLOUR if photometric == "RGB" else np.stack(
        [np.asarray(Image.fromarray(frame).convert("YCbCr")) for frame in COLOUR])
    found = np.stack(frames_of(coloured(tmp_path / "a.dcm", values, photometric, planar)))
    assert np.abs(found.astype(int) - COLOUR).max() <= (0 if photometric == "RGB" else 3)


@pytest.mark.parametrize(("kind", "photometric"), [("JPEG2000", "YBR_RCT"), ("JPEG2000", "RGB"),
                                                   ("JPEG", "YBR_FULL_422"), ("JPEG", "RGB")])
def test_compressed_frames_in_colour(tmp_path, kind, photometric):
    smooth = np.stack([np.asarray(Image.fromarray(frame).resize((5, 4)).resize((40, 32))) for frame in COLOUR])
    path = compressed(coloured(tmp_path / "a.dcm", smooth), smooth, kind, PhotometricInterpretation=photometric)
    assert np.abs(np.stack(frames_of(path)).astype(int) - smooth).max() <= (4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("count", [1, 3, 0, "", None])
def test_frames_beyond_those_of_the_header_are_told(tmp_path, count):
    path = changed(dicom(tmp_path / "a.dcm", GREY, bits=8), NumberOfFrames=count)
    assert probe(path).frames == (count or 1) and probe(path).notes == (reader.MORE_FRAMES,)
    for layout in LAYOUTS:
        path = compressed(dicom(tmp_path / "a.dcm", GREY, bits=8), GREY, "JPEG2000", NumberOfFrames=count, **layout)
        if layout != {"fragments": 2, "table": False}:  # what is a frame is not known
            assert probe(path).notes == (reader.MORE_FRAMES,)


@pytest.mark.parametrize("change", [{}, *LAYOUTS])
def test_frames_that_are_not_there_are_an_error(tmp_path, change):
    path = dicom(tmp_path / "a.dcm", GREY, bits=8)
    path = compressed(path, GREY, "JPEG2000", **change) if change else path
    with pytest.raises(ImageError, match="cannot be decoded|damaged"):
        probe(changed(path, NumberOfFrames=11))
    with pytest.raises(ImageError, match="-1 frames"):
        probe(changed(path, NumberOfFrames=-1))


def test_a_file_is_read_once_for_all_of_its_frames(tmp_path, monkeypatch):
    path, reads, real = dicom(tmp_path / "a.dcm", GREY, bits=8), [], reader._read
    monkeypatch.setattr(reader, "_read", lambda place: reads.append(place) or real(place))
    assert len(frames_of(path)) == 5 and reads == [path]
    dicom(path, GREY[::-1], bits=8)
    assert np.array_equal(frames_of(path)[0][..., 0], GREY[4]) and len(reads) == 2
    one = dicom(tmp_path / "b.dcm", GREY[0], bits=8)
    frames_of(one)
    assert len(reads) == 4  # one frame is not kept


@pytest.mark.parametrize("kind", ["native", "deflated", "JPEG"])
def test_memory_is_that_of_the_file_and_of_one_frame(tmp_path, kind):
    """120 frames of 256 x 256, whose values as floating-point numbers would be 60 MiB."""
    values = np.random.default_rng(0).integers(0, 256, (120, 256, 256)).astype(np.uint8)
    path = dicom(tmp_path / "a.dcm", values, bits=8, RescaleSlope=2, RescaleIntercept=0)
    if kind == "JPEG":
        compressed(path, values, kind)
    elif kind == "deflated":
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
        data.save_as(path)
    probe(dicom(tmp_path / "b.dcm", GREY, bits=8))  # imports
    tracemalloc.start()
    probe(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (4 if kind == "deflated" else 2.5) * values.nbytes + 8 * 2**20
