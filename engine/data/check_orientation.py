"""The check of images that an EXIF orientation turns: were they annotated as stored, or upright?"""

from __future__ import annotations

from collections.abc import Mapping

from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted
from sightsmith.engine.data.orientation import SIDEWAYS

ACROSS = (2, 3, 4)
"""Mirrored and upside down: the sides are as they were."""


def about_orientation(index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    """One warning about the turned images of whose annotation no size says to which picture it belongs."""
    names = list(dict.fromkeys(sample.name for sample in index.samples if _is_open(sample, infos[sample.name])))
    if not names:
        return []
    were = "it was" if len(names) == 1 else "they were"
    return [Problem(
        f"{counted(len(names), 'image is', 'images are')} stored turned or mirrored, with an EXIF orientation, and no "
        f"size says whether {were} annotated as stored: {listed(names)}. Annotation is taken as that of the upright "
        "image", severity="warning",
        affects="boxes", hint="look at it on the page of `sightsmith inspect --html`; where it is misplaced, remove "
                              "the tag from the image, as with `exiftool -Orientation= FILE`")]


def _is_open(sample: Sample, info: ImageInfo) -> bool:
    if not sample.objects and sample.semantic_mask is None:
        return False
    told = sample.size is not None or sample.semantic_mask is not None
    return info.orientation in ACROSS or info.orientation in SIDEWAYS and (not told or info.width == info.height)
