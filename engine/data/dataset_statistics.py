"""What recipes and tuner=auto need to know of a checked data set."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass

from sightsmith.core.contracts.annotation import Annotation
from sightsmith.core.contracts.dataset import CheckedDataset


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a checked data set that hyperparameters depend on.

    ``side`` is the median longer side of the images, ``object_side`` the median square root of the areas
    of the objects' boxes (None without boxes), both in pixels. ``frequent`` and ``rare`` are the classes
    with the most and the fewest training images, and their number.
    """

    annotation: Annotation
    train_images: int
    side: int
    object_side: float | None
    frequent: tuple[str, int]
    rare: tuple[str, int]
    monochrome: bool
    modalities: tuple[str | None, ...]
    """DICOM modalities; None stands for images that are not DICOM"""
    volumes: bool = False
    """whether there are slices of volumes"""

    @property
    def photos(self) -> bool:
        """whether no image is medical by its format"""
        return self.modalities == (None,) and not self.volumes

    @classmethod
    def of(cls, dataset: CheckedDataset) -> DatasetStatistics:
        infos = [dataset.infos[sample.name] for sample in dataset.train]
        boxes = [item.box for sample in dataset.train for item in sample.objects if not item.crowd]
        sides = [math.sqrt((right - left) * (bottom - top)) for left, top, right, bottom in boxes]
        counts = Counter(dict.fromkeys(dataset.index.classes, 0))
        counts.update(label for sample in dataset.train for label in set(sample.labels))
        ranked = counts.most_common()
        return cls(dataset.index.annotation, len(dataset.train),
                   int(statistics.median(max(info.width, info.height) for info in infos)),
                   statistics.median(sides) if sides else None, ranked[0], ranked[-1],
                   all(info.monochrome for info in infos),
                   tuple(sorted({info.modality for info in infos}, key=str)), any(info.geometry for info in infos))
