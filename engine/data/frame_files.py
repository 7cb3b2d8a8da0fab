"""The frames of files as image files of their own: annotation formats have an image in a file."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, Frame, ImageInfo
from sightsmith.core.util.files import short_path
from sightsmith.core.util.text import counted
from sightsmith.engine.data.grey_levels import extent
from sightsmith.engine.data.image_limits import integer_limits
from sightsmith.engine.data.images import read_frame

KINDS = (np.uint8, np.uint16, np.int16, np.int32)
"""Types of integers, of which the first that holds all values is written."""
GROUPS = r"dataset.group_by='(.+)-\d+\.(png|npy)$'"
"""What keeps the frames of a file together."""


@dataclass
class _Content:
    """What all frames have in common: their ``kind`` of values, and black and white."""

    kind: np.dtype
    limits: tuple[float, float] | None
    windowed: bool


def frames_as_files(samples: Iterable[Sample], infos: Mapping[str, ImageInfo], folder: Path,
                    ) -> tuple[tuple[Sample, ...], dict[str, ImageInfo], list[str]]:
    """The samples with a file in ``folder`` for each that is a frame, with their infos, and notes.

    The values are kept exactly: as PNG of 8 or 16 bits if those hold them, else as ``.npy``; all frames of the data set
    in the same type. Those of MONOCHROME1 are inverted.
    """
    found, known = list(samples), dict(infos)
    frames = [sample for sample in found if sample.frame is not None]
    if not frames:
        return tuple(found), known, []
    content, joint = _content(frames), _joint(frames, {*infos})
    for number, sample in enumerate(found):
        if sample.frame is not None:
            info = infos[sample.name]
            found[number] = _written(sample, content.kind, folder, joint)
            known[found[number].name] = replace(
                info, frames=1, digests=(info.digests[sample.frame],), reader=None, geometry=None,
                blank=frozenset({0} if sample.frame in info.blank else ()))
    files = counted(len({sample.name for sample in frames}), "file")
    notes = [f"{len(frames)} frames of {files} become images of their own, such as "
             f"{_name(frames[0], joint)}; to keep those of a file in the same split, add {GROUPS}"]
    default = None if content.kind.kind == "f" else integer_limits(8 * content.kind.itemsize,
                                                                    signed=content.kind.kind == "i")
    if content.limits is not None and (content.windowed or content.limits != default):
        notes.append("these images are as bright as their files were with "
                     f"image.range=[{content.limits[0]:g},{content.limits[1]:g}]"
                     f"{'; image.windows does not apply to them' * content.windowed}")
    return tuple(found), known, notes


def _content(frames: Iterable[Sample]) -> _Content:
    """Decodes all frames once."""
    low, high, whole, windowed = np.inf, -np.inf, True, False
    limits: list[tuple[float, float] | None] = []
    for sample in frames:
        frame = read_frame(sample)
        values = _upright(frame)
        smallest, largest = extent(values)
        low, high = min(low, smallest), max(high, largest)
        with np.errstate(invalid="ignore"):
            whole = whole and (values.dtype.kind in "bui" or bool((np.rint(values) == values).all()))
            whole = whole and bool(np.isfinite(values).all())
        limits.append(frame.limits)
        windowed = windowed or frame.windowed
    known = [found for found in limits if found is not None]
    span = (min(found[0] for found in known), max(found[1] for found in known)) if known else None
    kinds = [np.dtype(kind) for kind in KINDS if whole and np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
             and (kind != np.uint8 or span == (0, 255))]
    return _Content(kinds[0] if kinds else np.dtype(np.float64), span, windowed)


def _upright(frame: Frame) -> Array:
    """(H, W, C) of which the smaller values are the darker ones."""
    if not frame.inverted or frame.limits is None:
        return frame.values
    low, high = frame.limits
    turned: Array = low + high - frame.values.astype(np.float64)
    return turned


def _name(sample: Sample, joint: str, suffix: str = "") -> str:
    return f"{short_path(sample.name)}{joint}{sample.frame}{suffix}"


def _joint(frames: Iterable[Sample], names: Container[str]) -> str:
    """What stands before the numbers of frames: as many dashes as no image in ``names`` is called like a frame."""
    found = list(frames)
    return next(dashes for dashes in map("-".__mul__, count(1)) if not any(
        _name(sample, dashes, suffix) in names for sample in found for suffix in (".png", ".npy")))


def _written(sample: Sample, kind: np.dtype, folder: Path, joint: str) -> Sample:
    values = _upright(read_frame(sample))
    values = _as_float(values) if kind.kind == "f" else values.astype(kind)
    values = values[..., 0] if values.shape[2] == 1 else values
    as_png = kind == np.uint8 and values.shape[2:] in ((), (3,)) or kind == np.uint16 and values.ndim == 2
    name = _name(sample, joint, ".png" if as_png else ".npy")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if as_png:
        Image.fromarray(values).save(path)
    else:
        np.save(path, values)
    return replace(sample, path=path, name=name, frame=None, reader=None)


def _as_float(values: Array) -> Array:
    """float32 if it is exact."""
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    return short if np.array_equal(short, values, equal_nan=True) else values
