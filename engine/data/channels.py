"""The channels of the network's input: how many the images give, and their mean and standard deviation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.image import Array, ImageError, ImageInfo
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
from sightsmith.core.contracts.schema import AUTO, Config, ImageConfig
from sightsmith.core.contracts.schema_values import check_values
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.parts import read_part

MEASURED = 64
"""Training images of which mean and standard deviation are measured, spread over all of them."""
SIDE = 512
"""About so many rows and columns of each are looked at."""
LEAST_STD = 1 / 255
"""Standard deviation of a channel in which nothing differs."""
ORIGIN = "images"


def count_channels(image: ImageConfig, infos: Iterable[ImageInfo]) -> int:
    """Channels of the network's input for images like ``infos``: with ``image.channels=auto`` all of their bands if
    each has the same number, other than 1 and 3."""
    if image.channels != AUTO or len(image.windows) > 1:
        return image.input_channels
    bands = {info.channels for info in infos}
    return bands.pop() if len(bands) == 1 and not bands & {1, 3} else 3


def choose_channels(config: Config, dataset: CheckedDataset) -> tuple[RecommendedValue, ...]:
    """What the images decide of ``config.image``: ``channels``, ``case_files`` and, for another number than 3 channels,
    ``rgb``, ``mean`` and ``std``. Raises UserError where that does not fit what is set."""
    image, infos = config.image, [dataset.infos[sample.name] for sample in dataset.index.samples]
    channels, found = count_channels(image, infos), []
    if image.channels == AUTO and len(image.windows) < 2:
        found.append(RecommendedValue("image.channels", str(channels), "grey or in colour" if channels == 3 else
                                      f"all images have {channels} bands, and all of them are used", ORIGIN))
    if image.case_files is None and dataset.index.channels:
        found.append(RecommendedValue("image.case_files", list(dataset.index.channels),
                                      "the files of each case are the channels of its image", ORIGIN))
    if channels != 3 and image.rgb is None and len(image.windows) < 2:
        rgb = all(info.colours == 3 for info in infos)
        found.append(RecommendedValue("image.rgb", rgb, "the files say that the first three are red, green and blue"
                                      if rgb else "the files do not say which bands are colours", ORIGIN))
    known = Recommendation(tuple(found)).applied(config)
    if channels != 3 and (image.mean is None or image.std is None):
        values = measure(dataset.train, known.image)
        images = min(MEASURED, len(dataset.train))
        found += [RecommendedValue(f"image.{key}", measured, f"measured in {images} training images", ORIGIN)
                  for key, measured in zip(("mean", "std"), values, strict=True) if getattr(image, key) is None]
    if problems := check_values(Recommendation(tuple(found)).applied(config)):
        raise UserError("The configuration does not fit the images:", problems=problems)
    return tuple(found)


def measure(samples: Sequence[Sample], image: ImageConfig) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, of values in [0, 1]; images weigh the same. Raises UserError for an
    image that can no longer be read."""
    chosen = np.unique(np.linspace(0, len(samples) - 1, MEASURED).astype(int)).tolist()
    sums: list[Array] = []
    for sample in (samples[place] for place in chosen):
        try:
            values = read_part(sample, image, SIDE).values
        except ImageError as error:
            raise UserError(f"{sample.key} was readable when the data set was checked, but no longer is: {error}"
                            ) from error
        step = max(1, max(values.shape[:2]) // SIDE)
        part = values[::step, ::step].astype(np.float64) / (255 if values.dtype == np.uint8 else 1)
        moments = np.stack([part.mean((0, 1)), (part**2).mean((0, 1))])
        sums.append(np.broadcast_to(moments, (2, image.input_channels)))
    mean, square = np.mean(sums, 0)
    std = np.maximum(np.sqrt(np.maximum(square - mean**2, 0)), LEAST_STD)
    return [[round(float(value), 5) for value in values] for values in (mean, std)]  # type: ignore[return-value]
