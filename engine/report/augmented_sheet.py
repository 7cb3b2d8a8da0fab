"""The sheet of augmented images: what a network sees of some training images, with their boxes, masks or classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.report import Colour, Picture, Section
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.text import counted
from sightsmith.engine.data.annotated_image import AnnotatedImage
from sightsmith.engine.data.augmentations import Seed
from sightsmith.engine.data.masks import IGNORED
from sightsmith.engine.data.thumbnails import SHOWN, blended, load_rgb_part, palette
from sightsmith.engine.report.page import render

ROWS = 6
SIDE = 150
"""Display size, pixels."""
OPACITY = 0.45
MIN_SHARE = 0.005
"""A class with a smaller share of a mixed image is not named."""
COVER: Colour = (90, 90, 90)
"""What is drawn over ignored pixels."""


def augmented_sheet(task: Task, dataset: Dataset[Any], samples: Sequence[Sample], seed: int) -> list[Section]:
    """The section; empty where the task does not show its items. ``dataset`` is the training data set of ``samples``;
    the images are as in the first epoch of some training with ``seed``."""
    colours, epochs = palette(task.classes), task.config.hyper.epochs
    rows = []
    for index in np.unique(np.linspace(0, len(samples) - 1, ROWS).astype(int)).tolist():
        seeds = np.random.default_rng([seed, index]).integers(2**63, size=SHOWN - 1).tolist()
        items = [task.annotated(dataset[index, Seed.at(value, 0.0, epochs)]) for value in seeds]
        if None in items:
            return []
        sample = samples[index]
        original = Picture(load_rgb_part(sample, task.config.image, sample.tile).values, "original", side=SIDE)
        rows.append((sample.key, (original, *(_picture(item, task.classes, colours) for item in items))))
    drawn = bool(rows) and task.record.annotation != "labels"
    legend = render("legend.html", entries=list(colours.items())) if drawn else ""
    note = "Some training images as the network gets them, augmented differently each time, in the first epochs."
    return [Section("Augmented images", note=note + " Grey is ignored." * drawn, html=legend, pictures=tuple(rows))]


def _picture(item: AnnotatedImage, classes: Sequence[str], colours: Mapping[str, Colour]) -> Picture:
    table = np.array([(0, 0, 0), *(colours[name] for name in classes)], np.float32)
    pixels, caption = item.image, ""
    if item.scores is not None:
        shares = sorted(zip(item.scores.tolist(), classes, strict=True), reverse=True)
        there = [(share, name) for share, name in shares if share >= MIN_SHARE]
        caption = ", ".join(name if len(there) == 1 else f"{name}: share {share:.2f}" for share, name in there)
    if item.semantic_mask is not None:
        pixels = _painted(pixels, item.semantic_mask, table)
    if item.boxes is None or item.labels is None or item.ignored is None:
        return Picture(pixels, caption, side=SIDE)
    for mask, label in zip(() if item.masks is None else item.masks, item.labels.tolist(), strict=False):
        pixels = blended(pixels, np.broadcast_to(table[label + 1], pixels.shape), OPACITY * mask.astype(np.float32))
    boxes = tuple((tuple(box), COVER if ignored else colours[classes[label]], "") for box, label, ignored in
                  zip(item.boxes.tolist(), item.labels.tolist(), item.ignored.tolist(), strict=True))
    return Picture(pixels, counted(len(boxes), "object"), boxes, SIDE)


def _painted(pixels: Array, numbers: Array, table: Array) -> Array:
    """``pixels`` under the colours of their classes; ignored ones are covered."""
    colours = np.concatenate([table, np.full((256 - len(table), 3), COVER, np.float32)])
    return blended(pixels, colours[numbers], np.where(numbers == IGNORED, 0.8, OPACITY * (numbers > 0)))
