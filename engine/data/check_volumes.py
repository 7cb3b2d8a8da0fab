"""The check of masks that are volumes: each slice of an image pairs with the same slice of its mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from sightsmith.core.contracts.annotation import SemanticMask
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, Geometry, ImageError, ImageInfo
from sightsmith.core.util.errors import Problem
from sightsmith.engine.data.images import read_header

SHIFT = 1.0
"""Voxels by which a mask's corners may be off: programs round affines differently."""


def mask_volumes(samples: Iterable[Sample]) -> dict[str, SemanticMask]:
    """The masks that are volumes, by the name of their image: the mask of any of its slices."""
    return {sample.name: sample.semantic_mask for sample in samples
            if sample.semantic_mask is not None and sample.frame is not None}


def without_misfits(index: DatasetIndex, masks: Mapping[str, SemanticMask], infos: Mapping[str, ImageInfo],
                    problems: list[Problem]) -> DatasetIndex:
    """``index`` without the slices of images whose mask in ``masks`` has another shape, or is elsewhere in the
    patient: each is a problem."""
    misfits = set()
    for name, mask in masks.items():
        if name in infos and (fault := _fault(name, infos[name], mask)):
            misfits.add(name)
            problems.append(fault)
    return replace(index, samples=tuple(sample for sample in index.samples if sample.name not in misfits))


def _fault(name: str, info: ImageInfo, mask: SemanticMask) -> Problem | None:
    try:
        reader, _ = read_header(mask.path, builder=mask.reader)
    except ImageError as error:
        return Problem(str(error), file=mask.name)
    shape, wanted = (*reader.size, reader.frames), (info.width, info.height, info.frames)
    geometry: Geometry | None = getattr(reader, "geometry", None)
    if shape != wanted:
        reason = (f"the mask has {_shown(shape, geometry)}, but its image {name} has "
                  f"{_shown(wanted, info.geometry)}")
    elif geometry and info.geometry and (off := _off(info.geometry, geometry, wanted)) > SHIFT:
        reason = f"its header places it elsewhere than its image {name}: a corner is {off:.3g} voxels off"
    else:
        return None
    return Problem(reason, file=mask.name, hint="if their voxels match, save the mask with the affine of its image; "
                                                "otherwise resample it to the image's grid")


def _off(first: Geometry, second: Geometry, shape: tuple[int, int, int]) -> float:
    """The largest distance of a corner, in the smallest sides of the voxels."""
    corners = np.array(np.meshgrid(*((0, side - 1) for side in shape), [1])).reshape(4, -1)
    places: list[Array] = [np.array(geometry.affine) @ corners for geometry in (first, second)]
    return float(np.linalg.norm(places[0] - places[1], axis=0).max() / min(first.spacing))


def _shown(shape: tuple[int, int, int], geometry: Geometry | None) -> str:
    kind = f"{geometry.plane} slices" if geometry else "slices"
    return f"{shape[2]} {kind} of {shape[0]} x {shape[1]} px"
