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


def with_bands(*bands, **options):
    """A TIFF of grey or colour and the further ``bands``."""
    values = np.dstack(bands)
    return tiff(values if options.pop("contig", True) else values.transpose(2, 0, 1).copy(),
                photometric="minisblack" if bands[0].shape[2] == 1 else "rgb", **options)


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
WIDE = SMOOTH.astype(np.uint16) * 257
ALPHAS = {"opaque": np.full_like(GREY, 255), "holes": np.where(COLUMNS < 100, 0, 255).astype(np.uint8),
          "data": ((ROWS * 3 + COLUMNS * 5) % 200 + 3).astype(np.uint8),
          "late": np.where(ROWS < HEIGHT - 9, 255, 0).astype(np.uint8)}
EXTRA = {
    f"{look}-{kind}-{image}{'' if contig else '-planes'}.tif": with_bands(
        values, *([values[..., :1]] if kind == "two" else []),
        band if values.dtype == np.uint8 else band * np.uint16(257), contig=contig,
        planarconfig="contig" if contig else "separate",
        extrasamples=["unspecified", "unassalpha"] if kind == "two" else [kind])
    for look, band in ALPHAS.items() for kind in ("unassalpha", "assocalpha", "unspecified", "two")
    for image, values in (("rgb", SMOOTH), ("grey", GREY[..., None]), ("deep", WIDE), ("deepgrey", WIDE[..., :1]))
    for contig in (True, False)}
"""TIFF files of colours or grey levels and of a band or two beside them."""
JPEGS = {"rgb.jpg": pillow(SMOOTH, "JPEG", quality=95), "grey.jpg": pillow(GREY, "JPEG", quality=95),
         "ycbcr.tif": pillow(SMOOTH, "TIFF", compression="jpeg", quality=95)}
