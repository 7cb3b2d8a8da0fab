"""Small files that claim much: memory and time are bounded before they are spent, for every command alike."""

from __future__ import annotations

import io
import os
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pydicom
import pytest
from dicom_files import dicom
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from reading import picture_values, probe
from test_images import png16

from sightsmith.core.contracts.image import Frame, ImageError
from sightsmith.engine.data.grey_levels import digest, to_picture
from sightsmith.engine.data.image_limits import MAX_FRAMES, count_scans
from sightsmith.engine.data.mask_files import MaskError
from sightsmith.plugins.readers import dicom as reader
from sightsmith.plugins.readers.dicom_frames import stream_size

MEGABYTE = 2**20


def peak(action):
    """The most memory that ``action`` had allocated, bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# Scaling and hashing

@pytest.mark.parametrize(("kind", "inverted"), [("<u2", False), ("<i2", True), ("<f8", False)])
def test_scaling_in_strips_is_exactly_scaling_at_once(monkeypatch, kind, inverted):
    values = np.random.default_rng(0).integers(0, 30_000, (300, 50, 1)).astype(kind)
    frame = Frame(values, 30_000, 16, (100, 20_000), inverted=inverted)
    monkeypatch.setattr("sightsmith.engine.data.grey_levels.STRIP", 999)
    exact = np.clip((values.astype(np.float64) - 100) / 19_900, 0, 1)
    assert np.array_equal(to_picture(frame), (1 - exact if inverted else exact).astype(np.float32))
    windowed = Frame(values, 30_000, 16, None, inverted=inverted, windowed=True)
    parts = [to_picture(windowed, [window]) for window in ([5_000, 400], [9_000, 12_000])]
    assert np.array_equal(to_picture(windowed, [[5_000, 400], [9_000, 12_000]]), np.concatenate(parts, -1))


def test_scaling_and_hashing_need_little_more_than_their_results():
    values = np.zeros((4000, 2000, 1), np.uint16)
    frame = Frame(values, 0, 16, (0, 65535))
    assert peak(lambda: to_picture(frame)) < values.size * 4 + 64 * MEGABYTE
    assert peak(lambda: digest(frame)) < MEGABYTE


@pytest.mark.slow
def test_a_large_deep_image_is_read_in_bounded_memory(tmp_path):
    """9000 x 9000 of 16 bits: 0.16 GB of pixels, 0.32 GB of result, within 2.5 GB of addresses with all libraries."""
    path = png16(tmp_path / "a.png", np.zeros((9000, 9000), np.uint16), 0)
    script = ("import sys; from pathlib import Path; from sightsmith.core.contracts.dataset import Sample; "
              "from sightsmith.engine.data.images import probe, read_image; path = Path(sys.argv[1]); "
              "print(probe(path, ()).width, read_image(Sample(path, path.name)).shape)")
    limit = int(2.5 * 2**30)
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert done.stdout.strip() == "9000 (9000, 9000, 1)", done.stderr[-500:]


# JPEG

def with_scans(count):
    """A progressive JPEG with its last scan ``count`` times."""
    content = encoded(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + b"\xff\xd9"


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(with_scans(1))
    usual = count_scans(path.read_bytes(), 500)
    assert 2 < usual < 20 and probe(path).frames == 1
    path.write_bytes(with_scans(3000))
    with pytest.raises(ImageError, match="more than 500 scans of 4,096 pixels"):
        probe(path)


def test_what_follows_or_is_embedded_in_a_jpeg_is_no_scan(tmp_path):
    path = tmp_path / "a.jpg"
    content = encoded(Image.effect_noise((64, 64), 50), "JPEG", exif=b"Exif\0\0" + b"\xff\xda\0\2" * 5000)
    path.write_bytes(content + b"\xff\xda\0\2" * 5000)  # as phones append a film
    assert count_scans(path.read_bytes(), 500) == 1 and probe(path).width == 64


# PNM

@pytest.mark.parametrize("filler", [b"#" + b"x" * 2**20 + b"\n", b"# x\n" * 2**18, b" " * 2**20])
@pytest.mark.parametrize("before", [b"P6\n", b"P6\n4 ", b"P5 4 4\n", b"P1 4\n"])
def test_a_pnm_with_an_endless_header_is_refused(tmp_path, filler, before):
    path = tmp_path / "a.ppm"
    path.write_bytes(before + filler + b"4 4 255\n" + bytes(48))
    with pytest.raises(ImageError, match="its header has more than 64 KiB of comments or blanks"):
        probe(path)


def test_comments_in_a_pnm_are_no_pixels(tmp_path):
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P5 # of a camera\n300 # wide\n300\n255\n" + b"#" * 90_000)
    assert (probe(path).width, probe(path).maximum) == (300, ord("#"))


# Frames and pages

@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_of_very_many_frames_is_not_walked(tmp_path, kind):
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    two = encoded(red, kind, save_all=True, append_images=[blue])
    path = tmp_path / "a"
    if kind == "GIF":
        start = two.index(b"\x21\xf9")
        path.write_bytes(two[:start] + two[start:-1] * 100_000 + b";")
    else:
        start = two.index(b"ANMF")
        body = two[12:start] + two[start:] * 100_000
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    begin = time.process_time()
    assert probe(path).frames == 1
    assert time.process_time() - begin < 1


def directory(entries, following):
    return struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) \
        + struct.pack("<I", following)


def test_a_tiff_whose_pages_form_a_loop_ends(tmp_path):
    path = tmp_path / "a.tif"
    pages = [Image.new("L", (20, 20), value) for value in (1, 2)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    content = bytearray(path.read_bytes())
    place, links = struct.unpack("<I", content[4:8])[0], []
    while place:
        links.append(place)
        count = struct.unpack("<H", content[place:place + 2])[0]
        place = struct.unpack("<I", content[place + 2 + 12 * count:place + 6 + 12 * count])[0]
    end = links[-1] + 2 + 12 * struct.unpack("<H", content[links[-1]:links[-1] + 2])[0]
    content[end:end + 4] = struct.pack("<I", links[0])
    path.write_bytes(content)
    assert probe(path).frames == 2


def test_a_tiff_of_very_many_pages_is_refused(tmp_path):
    step = len(directory([], 0))
    pages = b"".join(directory([], 8 + (number + 1) * step) for number in range(200_000))
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + pages)
    with pytest.raises(ImageError, match=f"more than {MAX_FRAMES} pages"):
        probe(tmp_path / "a.tif")


def test_tiff_tags_that_share_their_bytes_are_refused(tmp_path):
    """Each of 300 tags is all of the file's megabyte: a decoder that reads them all takes 300 MB."""
    entries = [(40_000 + number, 1, MEGABYTE, 8) for number in range(300)]
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + MEGABYTE) + bytes(MEGABYTE) + directory(entries, 0))

    def refused():
        with pytest.raises(ImageError, match="its tags have more bytes than the file"):
            probe(path)

    assert peak(refused) < 4 * MEGABYTE
    with pytest.raises(MaskError, match="its tags have more bytes than the file"):
        picture_values(path)


def test_tiles_that_are_larger_than_their_tiff_are_refused(tmp_path):
    tile = zlib.compress(bytes(1000))
    entries = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
               (322, 4, 1, 40_000), (323, 4, 1, 40_000), (324, 4, 1, 8), (325, 4, 1, len(tile))]
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8 + len(tile)) + tile + directory(entries, 0))
    with pytest.raises(ImageError, match="its tiles of 40000 x 40000 pixels are larger than the image"):
        probe(tmp_path / "a.tif")


def test_a_mask_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(MaskError, match="it is a pipe or a device"):
        picture_values(tmp_path / "a.png")


# PNG

@pytest.mark.parametrize(("kind", "start"), [(b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")])
def test_compressed_text_and_profiles_of_a_png_are_bounded(tmp_path, kind, start):
    content = encoded(Image.new("L", (20, 20)), "PNG")
    data = start + zlib.compress(bytes(100 * MEGABYTE), 1)
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path = tmp_path / "a.png"
    path.write_bytes(content[:33] + chunk + content[33:])

    def refused():
        with pytest.raises(ImageError, match="too large"):
            probe(path)

    assert peak(refused) < 16 * MEGABYTE


# DICOM

def test_a_dicom_length_beyond_the_file_takes_no_memory(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.zeros((16, 16), np.uint16))
    content = path.read_bytes()
    place = content.index(struct.pack("<HH2sH", 0x7FE0, 0x10, b"OW", 0)) + 8
    path.write_bytes(content[:place] + struct.pack("<I", 0xFFFFFFFE) + content[place + 4:])

    def read():
        assert probe(path).width == 16  # the pixels are there

    assert peak(read) < 16 * MEGABYTE


def test_a_deflated_dicom_is_bounded(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm", np.arange(256, dtype=np.uint16).reshape(16, 16))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    assert probe(path).extent == (0, 255)
    content = path.read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    elements = zlib.decompress(content[start:], -15)
    stream = zlib.compressobj(1, wbits=-15)
    path.write_bytes(content[:start] + stream.compress(elements + bytes(100 * MEGABYTE)) + stream.flush())
    monkeypatch.setattr(reader, "LARGEST_DEFLATED", MEGABYTE)

    def refused():
        with pytest.raises(ImageError, match="its deflated DICOM data set has more than 1 MiB"):
            probe(path)

    assert peak(refused) < 16 * MEGABYTE


def compressed(path, stream, syntax, side=64):
    """A DICOM file of one frame, ``stream``, whose header has the ``side``."""
    data = pydicom.dcmread(dicom(path, np.zeros((side, side), np.uint8), bits=8))
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([stream])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.save_as(path)
    return path


@pytest.mark.parametrize(("kind", "syntax"), [("JPEG", uid.JPEGBaseline8Bit), ("JPEG2000", uid.JPEG2000)])
def test_a_compressed_frame_of_another_size_than_the_header_is_refused(tmp_path, kind, syntax):
    options = {"no_jp2": True} if kind == "JPEG2000" else {}
    path, image = tmp_path / "a.dcm", Image.effect_noise((64, 64), 50)
    assert probe(compressed(path, encoded(image, kind, **options), syntax)).width == 64
    stream = encoded(image.resize((900, 700)), kind, **options)
    assert stream_size(stream) == (900, 700)
    with pytest.raises(ImageError, match="header has 64 x 64 pixels, and its frame 0 is compressed as 900 x 700"):
        probe(compressed(path, stream, syntax))


def test_a_compressed_frame_of_very_many_scans_is_refused(tmp_path):
    assert stream_size(with_scans(1)) == (64, 64)
    path = compressed(tmp_path / "a.dcm", with_scans(3000), uid.JPEGBaseline8Bit)
    with pytest.raises(ImageError, match="more than 500 scans"):
        probe(path)


@pytest.mark.parametrize("stream", [b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x0b", b"\xff\x4f\xff\x51",
                                    b"\0" * 40])
def test_the_size_of_a_damaged_stream_is_unknown(stream):
    assert stream_size(stream) is None
