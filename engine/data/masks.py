"""Masks as arrays: decoding run lengths and polygons, reading and painting semantic masks.

Arrays are (height, width), of the upright image. :class:`MaskError` is raised for unusable masks; masks of a
checked data set never raise it.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from sightsmith.core.contracts.annotation import Box, Mask, RunLengths, SemanticMask
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageError, MissingReaderError
from sightsmith.engine.data.image_files import known_readers, read_head
from sightsmith.engine.data.image_limits import MAX_FRAME_PIXELS, check_size
from sightsmith.engine.data.images import read_frame
from sightsmith.engine.data.images import read_header as read_image_header
from sightsmith.engine.data.orientation import ORIENTATION, keep_from_mapping, upright
from sightsmith.engine.data.tiff_pages import image_pages

BACKGROUND, IGNORED = 0, 255
"""Values of :func:`semantic_map` other than classes."""

MAX_CLASSES = 254
LOSSLESS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
"""Lossless formats of semantic masks, by suffix."""

_LONGEST_NUMBER = 7
"""Characters of a run length, 5 bits each: more than any image has pixels."""


class MaskError(ImageError):
    """Why a mask cannot be used, in one sentence for the user."""


def decode(mask: Mask, height: int, width: int) -> Array:
    """The mask as (height, width) bool. Raises MaskError for a damaged mask or one of another size."""
    runs = _runs(encoded(mask, height, width))
    return np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(width, height).T


def encode(mask: Array) -> RunLengths:
    """The run lengths of a (height, width) mask of bool."""
    return _run_lengths(coco.encode(np.asfortranarray(mask, dtype=np.uint8)))


def encoded(mask: Mask, height: int, width: int) -> RunLengths:
    """The mask as run lengths: polygons are filled by COCO's rules and clipped to the image.

    Raises MaskError for a damaged mask or one of another size.
    """
    if isinstance(mask, RunLengths):
        if (mask.width, mask.height) != (width, height):
            raise MaskError(f"the mask is {mask.width} x {mask.height} px, but its image is {width} x {height} px")
        _runs(mask)
        return mask
    for ring in mask.rings:
        if len(ring) < 6 or len(ring) % 2:
            raise MaskError(f"a polygon has {len(ring) / 2:g} points; it needs at least 3")
        if not all(map(math.isfinite, ring)):
            raise MaskError("a point of a polygon is not a finite number")
    if not mask.rings:
        raise MaskError("the mask has no polygon")
    # COCO's code allocates memory by the length of the outline, so distant points are clipped first.
    rings = [np.clip(np.reshape(ring, (-1, 2)), 0, (width, height)).ravel().tolist() for ring in mask.rings]
    return _run_lengths(coco.merge(coco.frPyObjects(rings, height, width)))


def from_counts(counts: Sequence[int], height: int, width: int) -> RunLengths:
    """The mask of COCO's uncompressed run lengths: down the columns, the first run outside the object.

    Raises MaskError unless they fill the mask exactly.
    """
    if not all(type(count) is int and 0 <= count <= height * width for count in counts):
        raise MaskError("the run lengths must be integers from 0 to the number of pixels")
    _check_runs(np.array(counts, dtype=np.int64), height, width)
    return _run_lengths(coco.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width))


def area(masks: Iterable[RunLengths]) -> int:
    """The number of pixels covered by at least one of ``masks``, which have equal sizes."""
    return int(coco.area(coco.merge([_rle(mask) for mask in masks])))


def box(mask: RunLengths) -> Box:
    """The box around the mask's pixels; its area is 0 for an empty mask."""
    left, top, width, height = coco.toBbox(_rle(mask)).tolist()
    return left, top, left + width, top + height


def mask_frames(path: Path) -> tuple[int, str | None]:
    """The number of frames in the file of a semantic mask, and the builder of its image reader (None: PNG, TIFF or
    BMP), while a format reads. Raises MaskError, and MissingReaderError if the reader is not installed."""
    form = LOSSLESS.get(path.suffix.lower())
    if form is not None:
        return _pages(path) if form == "TIFF" else 1, None
    try:
        reader, builder = read_image_header(path, known_readers())
    except MissingReaderError:
        raise
    except ImageError as error:
        raise MaskError(str(error)) from error
    if builder is None:
        raise MaskError("a semantic mask must be a PNG, TIFF or BMP, which are lossless, or a volume, not a "
                        f"{path.suffix}")
    return reader.frames, builder


def picture_values(path: Path, frame: int | None = None, reader: str | None = None) -> tuple[Array, bool]:
    """(height, width) unsigned integers of a semantic mask, and whether they are colours.

    Colours are 0xRRGGBB, other values grey levels or palette indices. Of a file with several frames it is ``frame``;
    ``reader`` reads a file that is no PNG, TIFF or BMP. Raises MaskError for an unreadable file.
    """
    if reader is not None:
        return _slice_values(Sample(path, path.name, frame=frame, reader=reader)), False
    form = LOSSLESS.get(path.suffix.lower())
    if form is None:
        raise MaskError(f"a semantic mask must be a PNG, TIFF or BMP, which are lossless, not a {path.suffix}")
    try:
        read_head(path)
        page = image_pages(path)[0][frame or 0].number if form == "TIFF" else 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=(form,)) as image:
                image.seek(page)
                check_size(*image.size)
                keep_from_mapping(image)
                if image.mode == "RGBA" and len(set(image.getchannel("A").getextrema())) > 1:
                    raise ImageError("its transparency (alpha) varies; classes are read from colours or grey levels")
                mode = "RGB" if image.mode in ("RGBA", "RGBX") else image.mode
                values = np.array(image.convert(mode))
                # Pillow has turned a TIFF, and removed the tag.
                values = upright(values, image.getexif().get(ORIENTATION, 1))
    except ImageError as error:
        raise MaskError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise MaskError(f"it has more than {MAX_FRAME_PIXELS:,} pixels") from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise nearly every built-in exception on broken bytes
        reason = getattr(error, "strerror", None) or f"it is damaged or not a {form}"
        raise MaskError(f"cannot be read as a semantic mask: {reason}") from error
    if mode == "RGB":
        red, green, blue = np.moveaxis(values.astype(np.uint32), -1, 0)
        return red << 16 | green << 8 | blue, True
    if mode not in ("1", "L", "P") and not mode.startswith("I"):
        raise MaskError(f"its pixels ({mode}) are neither grey levels, palette indices nor colours")
    return values.astype({"b": np.uint8, "i": np.uint32}.get(values.dtype.kind, values.dtype)), False


def _pages(path: Path) -> int:
    """The pages of a TIFF; 1 of a damaged one, of which :func:`picture_values` says what it is."""
    try:
        read_head(path)
        return len(image_pages(path)[0])
    except (ImageError, OSError, struct.error):
        return 1


def _slice_values(sample: Sample) -> Array:
    """(height, width) uint32, also where a program has saved the numbers of classes as floating-point ones."""
    try:
        values = read_frame(sample).values
    except ImageError as error:
        raise MaskError(str(error)) from error
    if values.shape[2] != 1:
        raise MaskError(f"it has {values.shape[2]} values in each place; a class is one")
    numbers: Array = values[..., 0]
    with np.errstate(invalid="ignore"):  # values that are not numbers
        whole = numbers.astype(np.uint32)
    if not (whole == numbers).all():
        raise MaskError("its values are not all whole numbers from 0 on, as those of classes are")
    return whole


def class_numbers(semantic_mask: SemanticMask, classes: Sequence[str], height: int, width: int) -> Array:
    """(height, width) uint8: 0 background, i + 1 for ``classes[i]``, 255 ignored.

    Raises MaskError for a file that cannot be read, has another size, or has a value without a class.
    """
    values, colours = picture_values(semantic_mask.path, semantic_mask.frame, semantic_mask.reader)
    if values.shape != (height, width):
        raise MaskError(f"the semantic mask is {values.shape[1]} x {values.shape[0]} px, but its image is {width} x "
                        f"{height} px")
    numbers = _numbers(classes)
    known = {value: BACKGROUND if name is None else numbers[name] for value, name in semantic_mask.values
             if name is None or name in numbers}
    known |= dict.fromkeys(semantic_mask.ignored, IGNORED)
    found = np.unique(values)
    unknown = [value for value in found.tolist() if value not in known]
    if unknown:
        listed = ", ".join(f"#{value:06x}" if colours else f"{value}" for value in unknown[:5])
        raise MaskError(f"values without a class: {listed}")
    table = np.array([known[value] for value in found.tolist()], dtype=np.uint8)
    return table[np.searchsorted(found, values)]


def semantic_map(sample: Sample, classes: Sequence[str], height: int, width: int) -> Array:
    """(height, width) uint8: 0 background, i + 1 for ``classes[i]``, 255 ignored.

    Later objects are painted over earlier ones, and all over crowds, which are ignored. Raises MaskError
    for an unusable or missing mask, and for more than 254 classes.
    """
    if sample.semantic_mask is not None:
        return class_numbers(sample.semantic_mask, classes, height, width)
    numbers = _numbers(classes)
    painted = np.full((height, width), BACKGROUND, dtype=np.uint8)
    for item in sorted(sample.objects, key=lambda item: not item.crowd):
        if item.mask is None:
            raise MaskError(f"an object of the class {item.label!r} has a box but no mask")
        painted[decode(item.mask, height, width)] = IGNORED if item.crowd else numbers[item.label]
    return painted


def _numbers(classes: Sequence[str]) -> Mapping[str, int]:
    if len(classes) > MAX_CLASSES:
        raise MaskError(f"there are {len(classes)} classes; a semantic mask holds at most {MAX_CLASSES}")
    return {name: number for number, name in enumerate(classes, 1)}


def _runs(mask: RunLengths) -> Array:
    """The lengths of alternating runs, down the columns, the first outside the mask. Raises MaskError.

    A length is encoded in characters from '0' of 5 bits each, low bits first; bit 6 marks that more follow,
    and the top bit of the last is the sign. From the fourth length on, the difference to the length two
    before is stored (pycocotools' maskApi.c, rleToString). Decoded here because that decoder checks nothing.
    """
    codes = np.frombuffer(mask.counts, dtype=np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero(codes & 0x20 == 0) + 1
    if codes.size == 0 or codes.min() < 0 or codes.max() > 0x3F or ends.size == 0 or ends[-1] != codes.size:
        raise MaskError("the run lengths are damaged")
    starts = np.concatenate(([0], ends[:-1]))
    sizes = ends - starts
    if sizes.max() > _LONGEST_NUMBER:
        raise MaskError("the run lengths are damaged")
    shifts = 5 * (np.arange(codes.size) - np.repeat(starts, sizes))
    runs = np.add.reduceat((codes & 0x1F) << shifts, starts)
    runs -= np.where(codes[ends - 1] & 0x10, 1 << 5 * sizes, 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    _check_runs(runs, mask.height, mask.width)
    return runs


def _check_runs(runs: Array, height: int, width: int) -> None:
    pixels = height * width
    if runs.size == 0 or runs.min() < 0 or runs.max() > pixels or runs.sum() != pixels:
        raise MaskError(f"the run lengths do not fill a mask of {width} x {height} px")


def _rle(mask: RunLengths) -> dict[str, Any]:
    return {"size": [mask.height, mask.width], "counts": mask.counts}


def _run_lengths(rle: Mapping[str, Any]) -> RunLengths:
    height, width = rle["size"]
    return RunLengths(height, width, rle["counts"])
