"""Image files of every reader as bytes, and what can be wrong with them: :func:`hostile` makes one by a seed."""

from __future__ import annotations

import io
import re
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from dicom_files import dicom
from PIL import Image
from pydicom.data import get_testdata_file
from volume_files import nifti, slicer

WIDTH, HEIGHT = 24, 20
NOISE = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
DEEP = (NOISE[..., 0].astype(np.uint16) << 8) + NOISE[..., 1]
RGB, GREY, RGBA, WIDE = (Image.fromarray(values) for values in (NOISE[..., :3], NOISE[..., 0], NOISE, DEEP))
PLAIN = RGB.convert("P")
OTHERS = [Image.fromarray(NOISE[::-1, :, :3]), Image.fromarray(NOISE[:, ::-1, :3])]
HUGE = (0, 1, 13_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1)
"""Sides and counts for headers."""


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _dicoms() -> dict[str, bytes]:
    files = {name: Path(get_testdata_file(name, download=False)).read_bytes()
             for name in ("CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm")}
    with TemporaryDirectory() as folder:
        several = np.stack([DEEP, DEEP[::-1]]) >> 4
        files["native.dcm"] = dicom(Path(folder) / "1.dcm", DEEP >> 4).read_bytes()
        files["frames.dcm"] = dicom(Path(folder) / "2.dcm", several).read_bytes()
    return files


def _volumes() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        places = [nifti(Path(folder) / "deep.nii", DEEP[..., None]), nifti(Path(folder) / "bytes.nii.gz", NOISE),
                  slicer(Path(folder) / "bytes.nrrd", NOISE)]
        return {path.name: path.read_bytes() for path in places}


SOURCES = {
    "rgb.png": encoded(RGB, "PNG"), "grey16.png": encoded(WIDE, "PNG"), "palette.png": encoded(PLAIN, "PNG"),
    "animated.png": encoded(RGB, "PNG", save_all=True, append_images=OTHERS),
    "rgb.jpg": encoded(RGB, "JPEG"), "progressive.jpg": encoded(GREY, "JPEG", progressive=True),
    "cmyk.jpg": encoded(RGB.convert("CMYK"), "JPEG"),
    "lzw.tif": encoded(RGB, "TIFF", compression="tiff_lzw"), "deflate.tif": encoded(WIDE, "TIFF",
                                                                                  compression="tiff_deflate"),
    "jpeg.tif": encoded(RGB, "TIFF", compression="jpeg"), "plain.tif": encoded(RGBA, "TIFF"),
    "pages.tif": encoded(RGB, "TIFF", save_all=True, append_images=OTHERS),
    "animated.gif": encoded(PLAIN, "GIF", save_all=True, append_images=OTHERS), "plain.gif": encoded(PLAIN, "GIF"),
    "lossy.webp": encoded(RGB, "WEBP"), "lossless.webp": encoded(RGBA, "WEBP", lossless=True),
    "animated.webp": encoded(RGB, "WEBP", save_all=True, append_images=OTHERS), "rgb.avif": encoded(RGB, "AVIF"),
    "rgb.jp2": encoded(RGB, "JPEG2000"), "grey16.j2k": encoded(WIDE, "JPEG2000", no_jp2=True),
    "rgb.ppm": encoded(RGB, "PPM"), "grey16.pgm": encoded(WIDE, "PPM"), "bits.pbm": encoded(GREY.convert("1"), "PPM"),
    "words.pgm": b"P2\n# a remark\n24 20\n255\n" + b" ".join(b"%d" % value for value in NOISE[..., 0].flat),
    "rgb.bmp": encoded(RGB, "BMP"), "palette.bmp": encoded(PLAIN, "BMP"),
    "bytes.npy": _array(NOISE[..., :3]), "deep.npy": _array(DEEP), **_dicoms(), **_volumes(),
}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, more: bytes = b"", rows: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + more + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


@cache
def _bombs() -> dict[str, bytes]:
    zeros = zlib.compress(bytes(300_000_000), 9)
    rows = zlib.compress(bytes(HEIGHT * 4))
    directory = SOURCES["plain.tif"]
    place = struct.unpack_from("<I", directory, 4)[0]
    last = place + 2 + 12 * struct.unpack_from("<H", directory, place)[0]
    loop = directory[:last] + struct.pack("<I", place) + directory[last + 4:]
    return {
        "60,000 pixels a side.png": _png(60_000, 60_000, rows=zeros), "all that is allowed.png": _png(
            13_370, 13_370, rows=zlib.compress(bytes(13_370 * (1 + 1672)), 9)),
        "text.png": _png(24, 20, _chunk(b"zTXt", b"a\0\0" + zeros), rows), "rows.png": _png(24, 20, rows=zeros),
        "profile.png": _png(24, 20, _chunk(b"iCCP", b"a\0\0" + zeros), rows),
        "many texts.png": _png(24, 20, _chunk(b"tEXt", b"a\0b") * 200_000, rows),
        "loop.tif": loop, "many scans.jpg": _many_scans(), "side.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6)
        + b"\x2c" + bytes(4) + b"\xff\xff\xff\xff\0\x02\x16\x8c" + bytes(30) + b"\0;",
        "side.ppm": b"P6 60000 60000 255\n", "digits.ppm": b"P6 " + b"9" * 100_000 + b" 1 255\n",
        "remark.ppm": b"P6\n#" + b"x" * 10_000_000 + b"\n24 20 255\n" + NOISE[..., :3].tobytes(),
        "shape.npy": SOURCES["bytes.npy"].replace(b"(20, 24, 3)", b"(2e9,9,9,9)"[:11]),
        "objects.npy": SOURCES["bytes.npy"].replace(b"'|u1'", b"'|O' "),
        "frames.dcm": SOURCES["frames.dcm"].replace(b"IS\2\0002 ", b"IS\2\00099"),
        "header.avif": SOURCES["rgb.avif"].replace(struct.pack(">II", WIDTH, HEIGHT), b"\x7f\xff\xff\xff" * 2),
    }


def _many_scans() -> bytes:
    """A progressive JPEG whose last scan comes a hundred thousand times."""
    content = SOURCES["progressive.jpg"]
    scan = content.rindex(b"\xff\xda")
    return content[:-2] + content[scan:-2] * 100_000 + content[-2:]


def hostile(seed: int) -> tuple[str, str, bytes]:
    """The name of a file, what was done to it, and its content."""
    random = Random(seed)
    bombs = _bombs() if seed % 10 == 0 else {}
    if bombs:
        name = list(bombs)[seed // 10 % len(bombs)]
        return name, "bomb", bombs[name]
    name = list(SOURCES)[seed % len(SOURCES)]
    kind = random.choice((_cut, _flip, _header, _header, _repeat))
    content = kind(random, SOURCES[name])
    return name, kind.__name__[1:], _checked(content) if name.endswith(".png") and random.random() < 0.7 else content


def _cut(random: Random, content: bytes) -> bytes:
    return content[:random.randrange(1, len(content))]


def _flip(random: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    reach = random.choice((64, 400, len(content)))
    for _ in range(random.randrange(1, 9)):
        changed[random.randrange(min(reach, len(content)))] = random.randrange(256)
    return bytes(changed)


def _header(random: Random, content: bytes) -> bytes:
    """Another number where the sides stand."""
    side, number = random.choice((WIDTH, HEIGHT)), random.choice(HUGE)
    head = content[:2000]
    places = [(match.span(), form) for form in (">I", "<I", ">H", "<H")
              for match in re.finditer(re.escape(struct.pack(form, side)), head)]
    places += [(match.span(), "") for match in re.finditer(rb"(?<!\d)%d(?!\d)" % side, head[:100])]
    if not places:
        return _flip(random, content)
    (begin, end), form = random.choice(places)
    most = 2**(8 * struct.calcsize(form or "I")) - 1
    return content[:begin] + (struct.pack(form, min(number, most)) if form else b"%d" % number) + content[end:]


def _repeat(random: Random, content: bytes) -> bytes:
    """A piece of the file, many times."""
    begin = random.randrange(len(content))
    end = begin + random.randrange(1, 200)
    return content[:end] + content[begin:end] * random.choice((1, 50, 5000)) + content[end:]


def _checked(content: bytes) -> bytes:
    """A PNG with the right checksums: what is wrong with it is noticed later."""
    changed, place = bytearray(content), 8
    while place + 12 <= len(changed):
        length = int.from_bytes(changed[place:place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(changed):
            break
        changed[end:end + 4] = struct.pack(">I", zlib.crc32(changed[place + 4:end]))
        place = end + 4
    return bytes(changed)
