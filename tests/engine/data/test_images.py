"""Reading rasters: exact pixels, whole bit depths, one sentence for whatever is broken."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from reading import picture_values, probe, read_image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageError
from sightsmith.engine.data import image_limits, images
from sightsmith.engine.data.images import read_frame
from sightsmith.engine.data.orientation import upright

RNG = np.random.default_rng(0)
GREY = np.array([[0, 10, 200], [255, 128, 7]], np.uint8)
RGB = RNG.integers(0, 256, (2, 3, 3), dtype=np.uint8)
DEEP = np.array([[0, 1, 255], [256, 40_000, 65_535]], np.uint16)
DEEP_RGB = RNG.integers(0, 65_536, (2, 3, 3), dtype=np.uint16)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def tiff(path: Path, values: np.ndarray, *, photometric: int = 1, sample_format: int = 1, orientation: int = 1,
         extra: int | None = None) -> Path:
    """A plain TIFF of one strip with tags that Pillow does not write."""
    height, width, samples = values.shape if values.ndim == 3 else (*values.shape, 1)
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = {256: [width], 257: [height], 258: [values.itemsize * 8] * samples, 259: [1], 262: [photometric], 273: [8],
            274: [orientation], 277: [samples], 278: [height], 279: [len(data)], 339: [sample_format] * samples}
    if extra is not None:
        tags[338] = [extra]
    data += b"\0" * (len(data) % 2)
    start = 8 + len(data)
    directory, overflow = struct.pack("<H", len(tags)), b""
    for tag, numbers in sorted(tags.items()):
        raw = struct.pack(f"<{len(numbers)}H", *numbers)
        if len(raw) > 4:
            offset = start + 2 + 12 * len(tags) + 4 + len(overflow)
            raw, overflow = struct.pack("<I", offset), overflow + raw
        directory += struct.pack("<HHI", tag, 3, len(numbers)) + raw.ljust(4, b"\0")
    path.write_bytes(struct.pack("<2sHI", b"II", 42, start) + data + directory + bytes(4) + overflow)
    return path


def png16(path: Path, values: np.ndarray, colour_type: int, extra: bytes = b"") -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
                     + chunk(b"IEND", b""))
    return path


# Rasters of 8 bits

@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_grey_and_rgb_are_exact(tmp_path: Path, suffix: str) -> None:
    grey = read_image(save(tmp_path / f"g.{suffix}", Image.fromarray(GREY)))
    assert grey.dtype == np.uint8 and np.array_equal(grey, GREY[..., None])
    assert np.array_equal(read_image(save(tmp_path / f"c.{suffix}", Image.fromarray(RGB))), RGB)


def test_jpeg(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.new("RGB", (16, 8), (200, 30, 90)), quality=95)
    assert read_image(path).shape == (8, 16, 3) and np.abs(read_image(path).astype(int) - (200, 30, 90)).max() <= 2
    assert read_image(save(tmp_path / "g.jpg", Image.new("L", (1, 1), 77), quality=95)).tolist() == [[[77]]]


def test_format_is_told_by_content(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.dcm", "a"):
        assert np.array_equal(read_image(save(tmp_path / name, Image.fromarray(RGB), format="PNG")), RGB)


def test_bilevel(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    for suffix in ("png", "bmp", "tif"):
        assert read_image(save(tmp_path / f"a.{suffix}", image))[..., 0].tolist() == [[0, 255], [255, 0]]


def test_alpha_is_over_black(tmp_path: Path) -> None:
    rgba = Image.frombytes("RGBA", (2, 1), bytes([200, 100, 50, 255, 200, 100, 50, 51]))
    for suffix in ("png", "tif"):
        assert read_image(save(tmp_path / f"a.{suffix}", rgba)).tolist() == [[[200, 100, 50], [40, 20, 10]]]
    assert read_image(save(tmp_path / "la.png", Image.new("LA", (1, 1), (200, 51)))).tolist() == [[[40]]]


def test_palettes(tmp_path: Path) -> None:
    image = Image.frombytes("P", (2, 1), b"\0\1")
    image.putpalette([10, 20, 30, 200, 100, 50])
    for suffix in ("png", "bmp", "tif"):
        assert read_image(save(tmp_path / f"a.{suffix}", image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    for transparency, second in ((1, [0, 0, 0]), (bytes([255, 51]), [40, 20, 10])):
        path = save(tmp_path / "t.png", image, transparency=transparency)
        assert read_image(path).tolist() == [[[10, 20, 30], second]]


def test_transparent_colour(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(RGB), transparency=tuple(int(value) for value in RGB[0, 1]))
    assert read_image(path)[0, 1].tolist() == [0, 0, 0] and np.array_equal(read_image(path)[1], RGB[1])
    assert read_image(save(tmp_path / "g.png", Image.fromarray(GREY), transparency=200))[0, 2] == 0


def test_cmyk_ycbcr_and_lab(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "a.tif", Image.new("CMYK", (1, 1), (255, 0, 0, 0)))).tolist() == [[[0, 255, 255]]]
    cyan = read_image(save(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (255, 0, 0, 0)), quality=95)).astype(int)
    assert np.abs(cyan - (0, 255, 255)).max() <= 3
    ycbcr = Image.fromarray(RGB).convert("YCbCr")
    for name, options in (("y.tif", {}), ("y.jpg", {"quality": 95})):
        assert read_image(save(tmp_path / name, ycbcr, **options)).shape == (2, 3, 3)
    assert np.array_equal(read_image(tmp_path / "y.tif"), np.asarray(ycbcr.convert("RGB")))
    white = read_image(save(tmp_path / "l.tif", Image.new("LAB", (1, 1), (255, 128, 128))))
    assert np.abs(white.astype(int) - 255).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(RGB)
    image.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert orientation == 1 or not np.array_equal(expected, RGB)
    for name, options in (("a.png", {}), ("a.tif", {}), ("z.tif", {"compression": "tiff_lzw"})):
        path = save(tmp_path / name, Image.fromarray(RGB), exif=exif, **options)
        assert np.array_equal(read_image(path), expected), name
    for mode in ("L", "P", "I;16", "CMYK", "RGBA", "F"):  # some of which Pillow maps into memory
        stored = Image.new(mode, (3, 2))
        if mode == "P":
            stored.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
        for number in range(6):
            stored.putpixel((number % 3, number // 3), (40 * number,) * len(stored.getbands()) if len(
                stored.getbands()) > 1 else 40 * number)
        plain, turned = (read_frame(Sample(save(tmp_path / name, stored, exif=tag), name)).values
                         for name, tag in (("p.tif", Image.Exif()), ("t.tif", exif)))
        assert np.array_equal(turned, upright(plain, orientation)), mode
        if mode in ("L", "P", "I;16"):
            for suffix in ("tif", "png"):
                save(tmp_path / f"m.{suffix}", stored, exif=exif)
                wanted = upright(np.asarray(stored)[..., None], orientation)[..., 0]
                assert np.array_equal(picture_values(tmp_path / f"m.{suffix}")[0], wanted), (mode, suffix)
    jpeg = save(tmp_path / "a.jpg", Image.new("RGB", (16, 8)), exif=exif)
    assert read_image(jpeg).shape == ((16, 8, 3) if orientation >= 5 else (8, 16, 3))
    assert (probe(jpeg).width, probe(jpeg).height) == read_image(jpeg).shape[1::-1]
    deep = read_image(tiff(tmp_path / "d.tif", RGB.astype(np.uint16) * 257, photometric=2, orientation=orientation))
    assert np.allclose(deep * 255, expected, atol=1e-4)


# More than 8 bits

@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(DEEP))
    values = read_image(path)
    assert values.dtype == np.float32 and values.shape == (2, 3, 1)
    assert np.array_equal(np.rint(values[..., 0] * 65535), DEEP)
    narrow = read_image(path, value_range=[1, 256])[..., 0]
    assert np.allclose(narrow, [[0, 0, 254 / 255], [1, 1, 1]])
    info = probe(path)
    assert (info.width, info.height, info.channels, info.bits, info.frames, info.maximum) == (3, 2, 1, 16, 1, 65535)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_colour(tmp_path: Path, suffix: str) -> None:
    assert cv2.imwrite(str(path := tmp_path / f"a.{suffix}"), DEEP_RGB[..., ::-1])
    values = read_image(path)
    assert values.dtype == np.float32 and np.array_equal(np.rint(values * 65535), DEEP_RGB)
    assert (probe(path).bits, probe(path).channels) == (16, 3)


def test_16_bit_alpha(tmp_path: Path) -> None:
    rgba = np.concatenate([DEEP_RGB, RNG.integers(0, 65_536, (2, 3, 1), dtype=np.uint16)], axis=-1)
    over_black = np.rint(rgba[..., :3] * (rgba[..., 3:] / 65535))
    for path in (png16(tmp_path / "a.png", rgba, 6), tiff(tmp_path / "a.tif", rgba, photometric=2, extra=2)):
        assert np.array_equal(np.rint(read_image(path) * 65535), over_black)
    premultiplied = read_image(tiff(tmp_path / "p.tif", rgba, photometric=2, extra=1))
    assert np.array_equal(np.rint(premultiplied * 65535), rgba[..., :3])
    grey = read_image(png16(tmp_path / "la.png", rgba[..., 2:], 4))
    assert np.array_equal(np.rint(grey * 65535), over_black[..., 2:])


def test_tiff_sample_kinds(tmp_path: Path) -> None:
    signed = tiff(tmp_path / "s.tif", np.array([[-32768, 0, 32767]], np.int16), sample_format=2)
    assert np.allclose(read_image(signed).ravel(), [0, 32768 / 65535, 1])
    for kind, white in ((np.uint16, 1), (np.uint8, 255)):
        white_is_zero = tiff(tmp_path / "w.tif", np.array([[0, np.iinfo(kind).max]], kind), photometric=0)
        assert read_image(white_is_zero).ravel().tolist() == [white, 0]


@pytest.mark.parametrize("values", [np.array([[-5, 0, 70_000]], np.int32), np.array([[-5, 0.5, np.nan]], np.float32),
                                    np.array([[1, 2, 4_000_000_000]], np.uint32)], ids=["int", "float", "uint"])
def test_32_bits_need_a_range(tmp_path: Path, values: np.ndarray) -> None:
    path = tiff(tmp_path / "a.tif", values, sample_format={"u": 1, "i": 2, "f": 3}[values.dtype.kind])
    with pytest.raises(ImageError, match=r"image.range=\[low,high\]"):
        read_image(path)
    finite = np.nan_to_num(values, nan=-5).astype(np.float64)
    assert np.allclose(read_image(path, value_range=[-5, 1e5])[..., 0], np.clip((finite + 5) / 100_005, 0, 1))
    assert probe(path).bits == 32 and probe(path).maximum == np.nanmax(values)


# Frames, limits and digests

def test_tiff_pages_are_frames(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((2, 3), value, np.uint8)) for value in (1, 2, 3)]
    path = save(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    info = probe(path)
    assert info.frames == 3 and info.maximum == 3 and len(set(info.digests)) == 3
    assert [int(read_image(path, frame)[0, 0, 0]) for frame in (None, 0, 1, 2)] == [1, 1, 2, 3]
    for frame in (-1, 3):
        with pytest.raises(ImageError, match="numbered from 0 to 2"):
            read_image(path, frame)
    assert cv2.imwritemulti(str(path), [DEEP_RGB, DEEP_RGB[::-1]])
    assert np.array_equal(np.rint(read_image(path, 1) * 65535), DEEP_RGB[::-1, :, ::-1])


def test_previews_and_animations_are_not_frames(tmp_path: Path) -> None:
    image, preview = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (4, 4))
    path = save(tmp_path / "a.jpg", image, format="MPO", save_all=True, append_images=[preview])
    assert probe(path).frames == 1 and read_image(path).shape == (8, 8, 3)
    path = save(tmp_path / "a.png", image, save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert probe(path).frames == 1 and read_image(path)[0, 0].tolist() == [255, 0, 0]


def test_colour_is_what_pixels_have_not_what_channels_there_are(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", Image.fromarray(GREY))
    same = save(tmp_path / "same.png", Image.fromarray(GREY[..., None].repeat(3, axis=2)))
    colour = save(tmp_path / "colour.png", Image.fromarray(RGB))
    pages = tmp_path / "pages.tif"
    Image.fromarray(GREY).convert("RGB").save(pages, save_all=True, append_images=[Image.fromarray(RGB)])
    assert [probe(path).monochrome for path in (grey, same, colour, pages)] == [True, True, False, False]


def test_digest_outlives_lossless_copies(tmp_path: Path) -> None:
    files = [save(tmp_path / name, Image.fromarray(RGB)) for name in ("a.png", "a.tif", "a.bmp")]
    assert len({probe(path).digests for path in files}) == 1
    deep = [save(tmp_path / name, Image.fromarray(DEEP)) for name in ("d.png", "d.tif")]
    assert len({probe(path).digests for path in deep}) == 1
    assert probe(deep[0]).digests != probe(save(tmp_path / "e.png", Image.fromarray(DEEP[::-1].copy()))).digests


def test_bombs_are_refused_by_their_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe(save(tmp_path / "w.png", Image.new("1", (100_000, 20)))).width == 100_000  # pixels count, not a side
    with pytest.raises(ImageError, match="more than 178,956,970 pixels, and only JPEG, PNG and TIFF are"):
        probe(save(tmp_path / "l.bmp", Image.new("1", (15_000, 15_000))))
    monkeypatch.setattr(image_limits, "MAX_PIXELS", 10)
    with pytest.raises(ImageError, match="more than 10 in total"):
        probe(save(tmp_path / "a.tif", Image.new("L", (3, 2)), save_all=True, append_images=[Image.new("L", (3, 2))]))


# Files that are no images

@pytest.mark.parametrize(("content", "message"), [
    (b"", "the file is empty"),
    (b"%PDF-1.7", "looks like a PDF file; images are JPEG, PNG, TIFF, BMP, GIF, WebP, AVIF, JPEG 2000, PNM, "),
    (b"\0\0\0\x18ftypmp42", "looks like a video or HEIF file"),
    (b"\x76\x2f\x31\x01\2\0\0\0", "looks like an OpenEXR file"),
    (b"GIF89a" + bytes(20), "the GIF is damaged"),
    (b"RIFF\0\0\0\0WEBPVP8 ", "the WEBP cannot be decoded"),
    (b"<?xml version='1.0'?><svg/>", "looks like an SVG file"),
    ("schön,1\n".encode(), "looks like a text file"),
    (b"\0\1\2\3\4", "its format is unknown"),
    (b"\x89PNG\r\n\x1a\n", "damaged"),
    (b"BM", "damaged"),
])
def test_other_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for read in (probe, read_image):
        with pytest.raises(ImageError, match=message) as caught:
            read(path)
        assert str(tmp_path) not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        probe(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="directory"):
        probe(tmp_path)


def test_what_has_not_changed_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seen.png"
    Image.new("L", (20, 30), 7).save(path)
    first = probe(path)
    opened: list[Path] = []
    inner = images._opened
    monkeypatch.setattr(images, "_opened", lambda path, *more, **options:
                        opened.append(path) or inner(path, *more, **options))
    assert probe(path) is first and not opened
    Image.new("L", (40, 30), 7).save(path)
    assert probe(path).width == 40 and opened == [path]
    path.unlink()
    with pytest.raises(ImageError, match="No such file"):
        probe(path)
