"""Thumbnails for reports."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from sightsmith.core.contracts.annotation import Box
from sightsmith.core.contracts.dataset import Sample, Tile
from sightsmith.core.contracts.image import Array, Frame, ImageInfo
from sightsmith.core.contracts.report import Colour
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.grey_levels import to_picture
from sightsmith.engine.data.parts import ImagePart, read_frame_part

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (44, 160, 44), (214, 39, 40), (31, 119, 180)
"""Colours of true positives, false positives and false negatives."""
SHOWN = 6
"""Thumbnails per row of a report."""
MARGIN = 0.4
"""Margin of a crop around a box, as a share of the box's longer side."""
MIN_CROP = 24
"""Smallest side of a crop, pixels."""

SHOWN_SIDE = 1024
"""The shorter side of an image that is shown at reduced size has so many pixels at least."""
STRETCH = (2, 98)
"""Percentiles that are black and white in pictures of bands that are not colours."""
STRETCHED_BY = 256
"""They are those of about so many rows and columns."""


def blended(pixels: Array, colours: Array, strength: Array) -> Array:
    """(H, W, 3) uint8: ``colours`` (H, W, 3) in 0..255 over ``pixels`` with the opacity ``strength`` (H, W) in 0..1."""
    opacity = strength[..., None]
    mixed: Array = ((1 - opacity) * pixels + opacity * colours).round().astype(np.uint8)
    return mixed


def palette(classes: Sequence[str]) -> dict[str, Colour]:
    """An RGB colour for each class; hues are a golden ratio apart, so that neighbours differ."""
    hues = ((0.02 + 0.618034 * number) % 1 for number in range(len(classes)))
    return {name: tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, 0.95))  # type: ignore[misc]
            for name, hue in zip(classes, hues, strict=True)}


def plain(text: str) -> str:
    """Escapes dollar signs, which start a formula in matplotlib."""
    return text.replace("$", r"\$")


def load_rgb(sample: Sample, image: ImageConfig) -> Array:
    """(H, W, 3) uint8: the sample's whole image for display, by the bands that :func:`shown_bands` names. One too large
    to be decoded whole is at reduced size: see :func:`scaled_box`."""
    return load_rgb_part(sample, image, None).values


def load_rgb_part(sample: Sample, image: ImageConfig, box: Tile | None) -> ImagePart:
    """The part ``box`` of the sample's image, in full size unless it is too large as well; None: all of it. As
    :func:`load_rgb`."""
    frame, covered, size = read_frame_part(sample, image, SHOWN_SIDE if box is None else max(box[2:]), box)
    part = ImagePart(_as_shown(frame, image), covered, size)
    return part if box in (None, covered) else ImagePart(np.ascontiguousarray(part.cut(box)), box, size)


def scaled_box(box: Box, pixels: Array, size: tuple[int, int]) -> Box:
    """``box`` of an image of ``size`` (height, width) in ``pixels`` (H, W, 3), which may show it at reduced size."""
    across, down = pixels.shape[1] / size[1], pixels.shape[0] / size[0]
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down


def _as_shown(frame: Frame, image: ImageConfig) -> Array:
    bands = frame.values.shape[2]
    colours = 3 if image.rgb and bands >= 3 else frame.colours
    shown = replace(frame, values=frame.values[..., :colours or (3 if bands > 3 else 1)])
    picture = to_picture(shown, image.windows[:1], image.range)
    return as_rgb(picture if colours else stretched(picture))


def shown_bands(image: ImageConfig, infos: Iterable[ImageInfo]) -> str:
    """How the images are shown that have other bands than grey and RGB; empty without such images."""
    kinds = {(info.channels, 3 if image.rgb and info.channels >= 3 else info.colours) for info in infos}
    return " ".join(
        f"Of images with {bands} bands, " + ("red, green and blue are shown." if colours == 3 else
                                             f"the first {'is' if colours or bands < 3 else 'three are'} shown"
                                             + ("." if colours else f", from the {STRETCH[0]}nd to the {STRETCH[1]}th "
                                                "percentile of each."))
        for bands, colours in sorted(kinds) if bands not in (1, 3))


def stretched(image: Array) -> Array:
    """``image`` (H, W, C) uint8, each channel from black to white between the percentiles :data:`STRETCH`."""
    step = max(1, int(max(image.shape[:2]) / STRETCHED_BY))
    low, high = np.percentile(image[::step, ::step], STRETCH, axis=(0, 1))
    scaled: Array = np.clip((image - low) / np.maximum(high - low, 1e-6), 0, 1) * 255
    return scaled.round().astype(np.uint8)


def network_rgb(values: Array, image: ImageConfig) -> Array:
    """(H, W, 3) uint8 of a network's input ``values`` (H, W, C) in [0, 1], shown as in :func:`load_rgb`."""
    if values.shape[2] <= 3 or image.has_rgb:
        return as_rgb(values)
    return stretched(values[..., :3])


def as_rgb(image: Array) -> Array:
    """(H, W, 3) uint8 of an image (H, W, C) from :func:`sightsmith.engine.data.images.read_image`."""
    grey = image if image.dtype == np.uint8 else (255 * np.clip(image, 0, 1)).round().astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., :1], 3, -1) if grey.shape[-1] < 3 else grey[..., :3])


def around(box: Box, size: tuple[int, int]) -> Tile:
    """The crop around ``box`` of an image of ``size`` (height, width)."""
    left, top, right, bottom = box
    half = max(max(right - left, bottom - top) * (0.5 + MARGIN), MIN_CROP / 2)
    across, down = (left + right) / 2, (top + bottom) / 2
    first = (max(int(across - half), 0), max(int(down - half), 0))
    last = (min(int(np.ceil(across + half)), size[1]), min(int(np.ceil(down + half)), size[0]))
    return *first, last[0] - first[0], last[1] - first[1]
