"""The images that a program gives to be predicted: files and folders, and images from memory, which become files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import typed_path
from sightsmith.engine.pipeline.prediction_images import about_missing, find_images

EXPECTED = (
    "expected: the path of an image, a folder or a zip; a PIL image; a NumPy array (height, width, channels) or a "
    "torch tensor (channels, height, width) of RGB or grey, uint8 from 0 to 255 or floating-point from 0 to 1; or a "
    "list of these")
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
CONVERTED_MODES = ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La", "PA")
"""Of PIL images that become RGB; others have no black and white."""
WHOLE_LEVELS = 1e-3
"""Floating-point images whose values are so close to those of 8 bits have 8 bits."""


@dataclass(frozen=True)
class GivenImage:
    """An image to predict: the ``name`` that it is shown by, and its file, which is ``temporary`` for one from
    memory."""

    name: str
    path: Path
    temporary: bool = False


@contextmanager
def given_images(given: Any, readers: Sequence[ImageReaderRecord], image: ImageConfig,
                 ) -> Iterator[tuple[list[GivenImage], list[Problem]]]:
    """The images of ``given``, as :data:`EXPECTED` says, for a model with the configuration ``image``, and a problem
    for everything that is none. The files of those from memory last as long as the context."""
    problems: list[Problem] = []
    found: list[GivenImage] = []
    with tempfile.TemporaryDirectory(prefix="sightsmith-") as folder:
        for name, item in _items(given, ""):
            try:
                if isinstance(item, (str, os.PathLike)):
                    files, wrong = _files(item, readers, image, alone=not name)
                    found += files
                    problems += wrong
                else:
                    path = _written(item, Path(folder) / str(len(found)), image)
                    found.append(GivenImage(name or "image", path, temporary=True))
            except ImageError as error:
                problems.append(Problem(str(error), file=name or None))
            except UserError as error:  # it names the path
                problems.append(Problem(error.message))
        yield found, problems


def _items(given: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What ``given`` consists of, and how Python would name each; "" for a single one."""
    many = isinstance(given, Iterable) and not isinstance(given, (str, bytes, os.PathLike, Mapping, Image.Image))
    if many and getattr(given, "ndim", 4) > 3:
        for number, item in enumerate(given):
            yield from _items(item, f"{name or 'images'}[{number}]")
    else:
        yield name, given


def _files(item: str | os.PathLike[str], readers: Sequence[ImageReaderRecord], image: ImageConfig, *, alone: bool,
           ) -> tuple[list[GivenImage], list[Problem]]:
    """The image files of a path, and a problem for each that is left out; below a folder that is ``alone``, their names
    are relative to it."""
    place = typed_path(os.fspath(item))
    if not os.path.exists(place):
        raise UserError(f"{item}: {about_missing(place)}")
    if not place.is_dir() and place.suffix.lower() != ".zip":
        return [GivenImage(str(item), place)], []
    found = find_images(str(place), readers, image, str(item))
    prefix = "" if alone else f"{item}/"
    return ([GivenImage(f"{prefix}{name}", path) for name, path in found.paths.items()],
            [replace(problem, file=f"{prefix}{problem.file}") for problem in found.problems])


def _written(item: Any, stem: Path, image: ImageConfig) -> Path:
    """A file with the same pixels. Raises ImageError for what is no image."""
    if isinstance(item, Image.Image):
        path = stem.with_suffix(".png")
        _storable(item).save(path, exif=item.getexif(), compress_level=1)
        return path
    if isinstance(item, torch.Tensor):
        values = _last(item, image)
    elif isinstance(item, np.ndarray):
        values = _checked(item, image)
    else:
        raise ImageError(f"{type(item).__module__}.{type(item).__qualname__} is no image")
    path = stem.with_suffix(".npy")
    np.save(path, values)
    return path


def _storable(item: Image.Image) -> Image.Image:
    if item.mode in PNG_MODES:
        return item
    if item.mode in CONVERTED_MODES:
        return item.convert("RGB")
    raise ImageError(f"a PIL image of the mode {item.mode} has no black and white: convert it to L or RGB")


def _last(tensor: torch.Tensor, image: ImageConfig) -> Array:
    """A tensor (channels, height, width) as an array with the channels last."""
    values = tensor.detach().cpu()
    values = values.float() if values.dtype == torch.bfloat16 else values
    if values.ndim == 3:
        allowed = {1, 3, image.input_channels}
        if values.shape[0] not in allowed and values.shape[2] in allowed:
            raise ImageError(f"a torch tensor of the shape {tuple(values.shape)}, as if its channels came last: pass "
                             "tensor.permute(2, 0, 1)")
        if values.shape[0] not in allowed:
            raise ImageError(f"a torch tensor of the shape {tuple(values.shape)}: its first axis has the channels, of "
                             f"which {image.input_channels} are used; if it has grey images one after the other, pass "
                             "list(tensor)")
        values = values.permute(1, 2, 0)
    elif values.ndim != 2:
        raise ImageError(f"a torch tensor of the shape {tuple(values.shape)}: it has {values.ndim} dimensions, not 3")
    return _levels(values.numpy(), f"a torch tensor of {str(tensor.dtype).removeprefix('torch.')}", image)


def _checked(array: Array, image: ImageConfig) -> Array:
    allowed = {1, 3, image.input_channels}
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(f"a NumPy array of the shape {array.shape}: it has no height, width and channels")
    if array.ndim == 3 and array.shape[0] in allowed and array.shape[2] not in allowed:
        raise ImageError(f"a NumPy array of the shape {array.shape}, as if its channels came first: pass "
                         "array.transpose(1, 2, 0)")
    if array.ndim == 3 and array.shape[2] not in allowed:
        raise ImageError(f"a NumPy array of the shape {array.shape}: its last axis has the channels, of which "
                         f"{image.input_channels} are used; if it has grey images one after the other, pass "
                         "list(array)")
    return _levels(array, f"a NumPy array of {array.dtype}", image)


def _levels(values: Array, what: str, image: ImageConfig) -> Array:
    """``values`` as they are stored in an image file. Raises ImageError for those whose black and white are unknown."""
    if values.dtype in (np.uint8, np.uint16, np.bool_) or image.range is not None and values.dtype.kind in "uif":
        return values
    if values.dtype.kind != "f":
        raise ImageError(f"{what}: its black and white are unknown; divide it by its white, or convert it to uint8")
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= 0 and high <= 1):
        raise ImageError(f"{what} with values from {low:g} to {high:g}, not from 0 to 1"
                         + (": convert it to uint8" if low >= 0 and 1 < high <= 255 else ""))
    whole = np.rint(values * 255.0)
    if np.abs(values * 255.0 - whole).max(initial=0) < WHOLE_LEVELS:
        return whole.astype(np.uint8)
    return np.rint(values * 65535.0).astype(np.uint16)
