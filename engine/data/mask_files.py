"""The files of semantic masks: their values, of the upright image."""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightsmith.core.contracts.dataset import Sample, Tile
from sightsmith.core.contracts.image import Array, ImageError, MissingReaderError
from sightsmith.engine.data.image_files import known_readers, read_head
from sightsmith.engine.data.image_limits import HOW_TO_CUT, MAX_FRAME_PIXELS, check_size
from sightsmith.engine.data.images import read_frame
from sightsmith.engine.data.images import read_header as read_image_header
from sightsmith.engine.data.large_files import opened_large
from sightsmith.engine.data.large_image import LargeImage, blocks
from sightsmith.engine.data.orientation import ORIENTATION, keep_from_mapping, stored_box, upright
from sightsmith.engine.data.tiff_pages import image_pages

LOSSLESS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
"""Lossless formats of semantic masks, by suffix."""


class MaskError(ImageError):
    """Why a mask cannot be used, in one sentence for the user."""


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


def count_values(path: Path, frame: int | None = None, reader: str | None = None) -> tuple[dict[int, int], bool]:
    """How many pixels have each value of a semantic mask, and whether they are colours: see :class:`OpenMask`. Raises
    MaskError."""
    total: Counter[int] = Counter()
    with opened_mask(path, frame, reader) as mask:
        for box in mask.blocks():
            values = mask.values(box)
            if values.dtype == np.uint8:
                counts = np.bincount(values.ravel())
                found = np.flatnonzero(counts)
                counts = counts[found]
            else:
                found, counts = np.unique(values, return_counts=True)
            total.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        return dict(sorted(total.items())), mask.colours


@dataclass(frozen=True)
class OpenMask:
    """A semantic mask of ``size`` (width, height). ``values`` gives the unsigned integers (height, width) of a box, and
    raises MaskError: 0xRRGGBB if they are ``colours``, otherwise grey levels or palette indices."""

    size: tuple[int, int]
    colours: bool
    values: Callable[[Tile], Array]
    large: bool = False

    def blocks(self) -> Iterator[Tile]:
        """Boxes of rows that cover it, from top to bottom: one, unless it is too large to be decoded whole."""
        return blocks(self.size, columns=self.size[0]) if self.large else iter([(0, 0, *self.size)])


@contextmanager
def opened_mask(path: Path, frame: int | None = None, reader: str | None = None) -> Iterator[OpenMask]:
    """The open file of a semantic mask, of several frames that one. ``reader`` reads a file that is no PNG, TIFF or
    BMP. One too large to be decoded whole is read in parts. Raises MaskError."""
    with ExitStack() as stack:
        large = _open_large(stack, path) if reader is None else None
        if large is not None:
            yield _large_mask(large, frame or 0)
            return
    values, colours = _decoded(path, frame, reader)

    def cut(box: Tile) -> Array:
        left, top, width, height = box
        return values[top:top + height, left:left + width]

    yield OpenMask((values.shape[1], values.shape[0]), colours, cut)


def _open_large(stack: ExitStack, path: Path) -> LargeImage | None:
    """None also of a damaged file, of which :func:`_decoded` says what it is."""
    form = LOSSLESS.get(path.suffix.lower(), "")
    try:
        return stack.enter_context(opened_large(path, form)) if read_head(path) else None
    except ImageError as error:
        raise MaskError(str(error)) from error
    except (struct.error, OSError, SyntaxError):
        return None


def _large_mask(file: LargeImage, index: int) -> OpenMask:
    if not 0 <= index < file.frames:
        raise MaskError(f"it has no frame {index}")
    first = file.stored(index, (0, 0, 1, 1))
    bands = first.shape[2]
    if first.dtype.kind not in "ui" or bands not in (1, 3, 4):
        raise MaskError("its pixels are neither grey levels, palette indices nor colours")

    def read(box: Tile) -> Array:
        place = stored_box(box, file.upright, file.orientation)
        try:
            values = upright(file.stored(index, place), file.orientation)
        except ImageError as error:
            raise MaskError(str(error)) from error
        if bands == 1:
            return values[..., 0].astype(values.dtype.name.replace("int", "uint").replace("uu", "u"))
        red, green, blue = np.moveaxis(values[..., :3].astype(np.uint32), -1, 0)
        return red << 16 | green << 8 | blue

    return OpenMask(file.upright, bands > 1, read, large=True)


def _decoded(path: Path, frame: int | None, reader: str | None) -> tuple[Array, bool]:
    """(height, width) values, and whether they are colours. Raises MaskError."""
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
        raise MaskError(f"it has more than {MAX_FRAME_PIXELS:,} pixels, and only PNG and TIFF are read in parts: "
                        f"{HOW_TO_CUT}") from error
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
    """The pages of a TIFF; 1 of a damaged one, of which :func:`opened_mask` says what it is."""
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
