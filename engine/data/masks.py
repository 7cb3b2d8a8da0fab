"""Masks as arrays: decoding run lengths and polygons, reading and painting semantic masks.

Arrays are (height, width), of the upright image. :class:`MaskError` is raised for unusable masks; masks of a
checked data set never raise it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from sightsmith.core.contracts.annotation import Box, Mask, RunLengths, SemanticMask
from sightsmith.core.contracts.dataset import Sample, Tile
from sightsmith.core.contracts.image import Array
from sightsmith.engine.data.mask_files import MaskError, OpenMask, opened_mask

BACKGROUND, IGNORED = 0, 255
"""Values of :func:`semantic_map` other than classes."""

MAX_CLASSES = 254
_LONGEST_NUMBER = 7
"""Characters of a run length, 5 bits each: more than any image has pixels."""


def decode(mask: Mask, height: int, width: int, box: Tile | None = None, step: int = 1) -> Array:
    """The mask as (height, width) bool, or its part ``box`` alone, and of that every ``step``-th row and column. Raises
    MaskError for a damaged mask or one of another size."""
    runs = _runs(encoded(mask, height, width))
    left, top, across, down = box or (0, 0, width, height)
    ends = np.cumsum(runs)
    if step > 1:
        columns, rows = np.arange(left, left + across, step), np.arange(top, top + down, step)
        return np.searchsorted(ends, columns * height + rows[:, None], side="right") % 2 == 1
    first, last = left * height, (left + across) * height
    inside = slice(*np.searchsorted(ends, (first, last)))
    lengths = np.diff(np.concatenate(([first], ends[inside], [last])))
    marked = (inside.start + np.arange(lengths.size)) % 2 == 1
    part: Array = np.repeat(marked, lengths).reshape(across, height).T[top:top + down]
    return part


def encode(mask: Array) -> RunLengths:
    """The run lengths of a (height, width) mask of bool."""
    return _run_lengths(coco.encode(np.asfortranarray(mask, dtype=np.uint8)))


def encode_part(mask: Array, box: Tile, height: int, width: int) -> RunLengths:
    """The run lengths of a mask of ``height`` and ``width`` that is ``mask``, of bool, in its part ``box``, and empty
    elsewhere."""
    left, top, _, down = box
    edges = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0).T
    columns, rows = np.nonzero(edges)  # down the columns, by turns the beginning and the end of a run
    places = (left + columns) * height + top + rows
    if down == height:  # runs go on in the next column
        places, times = np.unique(places, return_counts=True)
        places = places[times == 1]
    counts = np.diff(np.concatenate(([0], places[places < height * width], [height * width])))
    return from_counts(counts.tolist(), height, width)


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


def class_numbers(semantic_mask: SemanticMask, classes: Sequence[str], height: int, width: int,
                  box: Tile | None = None) -> Array:
    """(height, width) uint8, or the part ``box`` alone: 0 background, i + 1 for ``classes[i]``, 255 ignored.

    Raises MaskError for a file that cannot be read, has another size, or has a value without a class.
    """
    with opened_mask(semantic_mask.path, semantic_mask.frame, semantic_mask.reader) as mask:
        _check_mask_size(mask, height, width)
        return _as_classes(mask.values(box or (0, 0, width, height)), semantic_mask, classes, mask.colours)


def class_rows(semantic_mask: SemanticMask, classes: Sequence[str], height: int, width: int) -> Iterator[Array]:
    """The rows of :func:`class_numbers` from top to bottom, some at a time if the file is too large to be decoded
    whole. Raises MaskError as that."""
    with opened_mask(semantic_mask.path, semantic_mask.frame, semantic_mask.reader) as mask:
        _check_mask_size(mask, height, width)
        for box in mask.blocks():
            yield _as_classes(mask.values(box), semantic_mask, classes, mask.colours)


def _check_mask_size(mask: OpenMask, height: int, width: int) -> None:
    if mask.size != (width, height):
        raise MaskError(f"the semantic mask is {mask.size[0]} x {mask.size[1]} px, but its image is {width} x "
                        f"{height} px")


def _as_classes(values: Array, semantic_mask: SemanticMask, classes: Sequence[str], colours: bool) -> Array:
    numbers = _numbers(classes)
    known = {value: BACKGROUND if name is None else numbers[name] for value, name in semantic_mask.values
             if name is None or name in numbers}
    known |= dict.fromkeys(semantic_mask.ignored, IGNORED)
    small = values.dtype == np.uint8
    found = np.flatnonzero(np.bincount(values.ravel())) if small else np.unique(values)
    unknown = [value for value in found.tolist() if value not in known]
    if unknown:
        listed = ", ".join(f"#{value:06x}" if colours else f"{value}" for value in unknown[:5])
        raise MaskError(f"values without a class: {listed}")
    if small:
        table = np.array([known.get(value, 0) for value in range(256)], np.uint8)
        return table[values]
    table = np.array([known[value] for value in found.tolist()], dtype=np.uint8)
    return table[np.searchsorted(found, values)]


def semantic_map(sample: Sample, classes: Sequence[str], height: int, width: int, box: Tile | None = None,
                 step: int = 1) -> Array:
    """(height, width) uint8: 0 background, i + 1 for ``classes[i]``, 255 ignored; or the part ``box`` alone, and of
    that every ``step``-th row and column.

    Later objects are painted over earlier ones, and all over crowds, which are ignored. Raises MaskError
    for an unusable or missing mask, and for more than 254 classes.
    """
    if sample.semantic_mask is not None and box is None and step > 1:
        rows = class_rows(sample.semantic_mask, classes, height, width)
        return np.concatenate([part[::step, ::step] for part in rows])
    if sample.semantic_mask is not None:
        return class_numbers(sample.semantic_mask, classes, height, width, box)[::step, ::step]
    numbers = _numbers(classes)
    _, _, across, down = box or (0, 0, width, height)
    painted = np.full((-(-down // step), -(-across // step)), BACKGROUND, dtype=np.uint8)
    for item in sorted(sample.objects, key=lambda item: not item.crowd):
        if item.mask is None:
            raise MaskError(f"an object of the class {item.label!r} has a box but no mask")
        painted[decode(item.mask, height, width, box, step)] = IGNORED if item.crowd else numbers[item.label]
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
