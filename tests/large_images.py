"""Image files that are read in parts, once :func:`everything_is_large`."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from PIL import Image

from sightsmith.engine.data import image_limits

HEIGHT, WIDTH = 530, 411
"""Neither is a multiple of a strip, a tile, or a block that is decoded at once."""
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
SMOOTH = np.stack([ROWS * 255 // HEIGHT, COLUMNS * 255 // WIDTH, (ROWS + COLUMNS) % 251], 2).astype(np.uint8)
GREY, DEEP = SMOOTH[..., 2], SMOOTH[..., 0].astype(np.uint16) * 256 + SMOOTH[..., 1]
RGBA = np.dstack([SMOOTH, np.where(COLUMNS < WIDTH // 2, 255, COLUMNS % 256).astype(np.uint8)])


def everything_is_large(monkeypatch):
    """Every image counts as too large to be decoded whole."""
    monkeypatch.setattr(image_limits, "MAX_FRAME_PIXELS", 1)


def pillow(values, form, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(file, form, **options)
    return file.getvalue()


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def deep_png(values):
    import cv2

    return cv2.imencode(".png", values[..., ::-1])[1].tobytes()


LOSSLESS = {
    "tiles.tif": tiff(SMOOTH, photometric="rgb", tile=(64, 48), compression="zlib", predictor=True),
    "big.tif": tiff(SMOOTH, photometric="rgb", tile=(256, 256), bigtiff=True),
    "planes.tif": tiff(SMOOTH.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate", rowsperstrip=9),
    "strip.tif": tiff(SMOOTH, photometric="rgb"), "lzw.tif": pillow(SMOOTH, "TIFF", compression="tiff_lzw"),
    "grey.tif": tiff(GREY, rowsperstrip=7, compression="zlib"), "deep.tif": tiff(DEEP, tile=(128, 128), byteorder=">"),
    "white.tif": tiff(GREY, photometric="miniswhite"), "float.tif": tiff(DEEP.astype(np.float32), tile=(64, 64)),
    "palette.tif": pillow(SMOOTH, "TIFF", "P"), "alpha.tif": tiff(RGBA, photometric="rgb", extrasamples=["unassalpha"]),
    "bands.tif": tiff(np.dstack([SMOOTH, GREY, GREY]), photometric="minisblack", planarconfig="contig", tile=(64, 64)),
    "grey.png": pillow(GREY, "PNG"), "rgb.png": pillow(SMOOTH, "PNG"), "palette.png": pillow(SMOOTH, "PNG", "P"),
    "bit.png": pillow(GREY, "PNG", "1"), "four.png": pillow(GREY, "PNG", "P", bits=4), "deep.png": pillow(DEEP, "PNG"),
    "alpha.png": pillow(RGBA, "PNG"), "greyalpha.png": pillow(RGBA, "PNG", "LA"),
    "deeprgb.png": deep_png(SMOOTH.astype(np.uint16) * 257 + 3), "clear.png": pillow(GREY, "PNG", transparency=7),
}
JPEGS = {"rgb.jpg": pillow(SMOOTH, "JPEG", quality=95), "grey.jpg": pillow(GREY, "JPEG", quality=95),
         "ycbcr.tif": pillow(SMOOTH, "TIFF", compression="jpeg", quality=95)}
