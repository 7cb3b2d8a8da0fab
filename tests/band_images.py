"""TIFF files and arrays of several bands, and small data sets of them."""

from __future__ import annotations

import io
import json
import zlib

import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin

RNG = np.random.default_rng(0)


def bands(count, *, height=40, width=48, dtype=np.uint16):
    return RNG.integers(0, np.iinfo(dtype).max, (height, width, count), dtype=dtype)


def save(path, values, *, photometric="minisblack", extra=None, **options):
    """A TIFF of interleaved ``values`` (H, W, C)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, photometric=photometric, planarconfig="contig", extrasamples=extra, **options)
    return path


def packed(path, values, compression, predictor=1, claimed=None):
    """A little-endian TIFF of one strip, which tifffile alone does not compress: ``values`` (H, W, C). Its header has
    the size ``claimed`` (height, width)."""
    height, width, count = values.shape
    if predictor == 2:
        steps = values.view(f"u{values.itemsize}").copy()
        steps[:, 1:] -= steps[:, :-1].copy()
        raw = steps.tobytes()
    elif predictor == 3:
        planes = values.astype(values.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
        planes = planes.reshape(height, -1, values.itemsize).swapaxes(1, 2).reshape(height, -1, count).copy()
        planes[:, 1:] -= planes[:, :-1].copy()
        raw = planes.tobytes()
    else:
        raw = values.tobytes()
    data = zlib.compress(raw) if compression == 8 else _lzw(raw, height) if compression == 5 else raw
    height, width = claimed or (height, width)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    for tag, value in ((256, width), (257, height), (258, (8 * values.itemsize,) * count), (259, compression), (262, 1),
                       (273, 0), (277, count), (278, height), (279, len(data)), (317, predictor),
                       (338, (0,) * (count - 1)), (339, (kind,) * count)):
        tags[tag] = value
    file = io.BytesIO()
    tags.save(file)  # counts offsets from its end
    path.write_bytes(file.getvalue() + data)
    return path


def _lzw(raw, height):
    """One strip, as libtiff compresses it."""
    file = io.BytesIO()
    Image.frombytes("L", (len(raw) // height, height), raw).save(
        file, "TIFF", compression="tiff_lzw", tiffinfo={278: height})
    with Image.open(file) as image:
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]
    return file.getvalue()[start:start + length]


def labelled(root, write, images=8):
    """Folders a and b; ``write(path without a suffix, number)`` writes an image."""
    for number in range(images):
        folder = root / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / str(number), number)
    return root


def marked(count, number, dtype=np.uint8):
    """Images of two kinds, which only the last of ``count`` bands tells apart."""
    values = np.random.default_rng(number).integers(0, 100, (32, 32, count)).astype(dtype)
    values[8:24, 8:24, -1] += 120 * (number % 2)
    return values


def with_objects(root, count, images=10, **options):
    """Squares that only the last of ``count`` bands shows: TIFF files, COCO's boxes, and masks by number."""
    for folder in ("det/images", "seg/images", "seg/masks"):
        (root / folder).mkdir(parents=True)
    found = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "square"}]}
    for number in range(images):
        values = np.random.default_rng(number).integers(0, 100, (48, 40, count), dtype=np.uint8)
        top, left = 3 + number, 2 + number
        values[top:top + 16, left:left + 16, -1] += 120
        mask = np.zeros((48, 40), np.uint8)
        mask[top:top + 16, left:left + 16] = 1
        Image.fromarray(mask).save(root / "seg" / "masks" / f"{number}.png")
        for task in ("det", "seg"):
            save(root / task / "images" / f"{number}.tif", values, **options)
        found["images"].append({"id": number, "file_name": f"{number}.tif", "width": 40, "height": 48})
        found["annotations"].append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 256,
                                     "bbox": [left, top, 16, 16]})
    (root / "det" / "annotations.json").write_text(json.dumps(found))
    (root / "seg" / "classes.txt").write_text("square\n")
    return root


def as_jpeg(path, values, *, separate=False, quality=95):
    """A TIFF of uint8 ``values`` (H, W, C) in JPEG, as GDAL writes them: interleaved (C = 4: RGB and another), or with
    a strip for each band. Returns what libtiff makes of the strips."""
    height, width, count = values.shape
    strips, tables, decoded = [], None, []
    for part in [values[..., place] for place in range(count)] if separate else [values]:
        file = io.BytesIO()
        Image.fromarray(part, "CMYK" if part.ndim == 3 else "L").save(
            file, "TIFF", compression="jpeg", quality=quality, tiffinfo={278: height})
        decoded.append(np.asarray(Image.open(file)).reshape(height, width, -1))
        file.seek(0)
        with tifffile.TiffFile(file) as made:
            page = made.pages[0]
            tables = page.jpegtables
            file.seek(page.dataoffsets[0])
            strips.append(file.read(page.databytecounts[0]))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in ((256, width), (257, height), (258, (8,) * count), (259, 7), (262, 2 if count == 4 else 1),
                       (277, count), (278, height), (284, 2 if separate else 1), (347, tables),
                       (338, (0,) * (count - (3 if count == 4 else 1)))):
        tags[tag] = value
    tags[279] = tuple(map(len, strips))
    # Pillow adds the end of the directory to the offsets.
    tags[273] = tuple(sum(map(len, strips[:place])) for place in range(len(strips)))
    file = io.BytesIO()
    tags.save(file)
    path.write_bytes(file.getvalue() + b"".join(strips))
    return np.concatenate(decoded, 2)
