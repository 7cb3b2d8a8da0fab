"""Draws predictions into images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.prediction import PredictedObject, Prediction
from sightsmith.core.contracts.report import Colour
from sightsmith.engine.data.masks import decode
from sightsmith.engine.data.thumbnails import palette, scaled_box

OPACITY = 0.45
SMALLEST = 11
"""The smallest font size, pixels."""


def drawn(image: Array, prediction: Prediction, classes: Sequence[str], min_score: float) -> Image.Image:
    """``image`` (H, W, 3) uint8 with the masks, boxes or labels of ``prediction``; objects below ``min_score`` are
    left out. The image may be at reduced size."""
    colours = palette(classes)
    step = -(-prediction.height // image.shape[0])
    canvas = torch.from_numpy(image).permute(2, 0, 1)
    if prediction.semantic_mask is not None:
        shown = prediction.semantic_mask[::step, ::step]
        numbers = [number for number in np.unique(shown).tolist() if number]
        if numbers:
            masks = torch.from_numpy(np.stack([shown == number for number in numbers]))
            canvas = draw_segmentation_masks(canvas, masks, OPACITY, [colours[classes[number - 1]]
                                                                      for number in numbers])
    size = prediction.height, prediction.width
    found = [replace(item, box=scaled_box(item.box, image, size)) for item in prediction.objects
             if item.score >= min_score]
    instance_masks = [decode(item.mask, *size, step=step) for item in found if item.mask is not None]
    if instance_masks:
        canvas = draw_segmentation_masks(canvas, torch.from_numpy(np.stack(instance_masks)), OPACITY,
                                         [colours[item.label] for item in found if item.mask is not None])
    if found:
        boxes = torch.tensor([item.box for item in found]).round()
        canvas = draw_bounding_boxes(canvas, boxes, colors=[colours[item.label] for item in found],
                                     width=max(round(min(image.shape[:2]) / 250), 1))
    picture = Image.fromarray(canvas.permute(1, 2, 0).numpy())
    _write_texts(picture, prediction, found, colours, classes)
    return picture


def _write_texts(picture: Image.Image, prediction: Prediction, found: Sequence[PredictedObject],
                 colours: Mapping[str, Colour], classes: Sequence[str]) -> None:
    pen = ImageDraw.Draw(picture)
    size = max(min(picture.size) / 32, SMALLEST)
    font = ImageFont.load_default(size)
    for item in found:
        _text(pen, (item.box[0], item.box[1]), f"{item.label} {item.score:.2f}", colours[item.label], font, above=True)
    lines: list[str] = []
    if prediction.scores:
        lines = [f"{label} {score:.2f}" for label, score in list(prediction.scores.items())[:3]]
        names = list(prediction.scores)[:3]
    elif prediction.semantic_mask is not None:
        names = lines = [classes[number - 1] for number in np.unique(prediction.semantic_mask).tolist() if number]
    for place, line in enumerate(lines):
        _text(pen, (0, place * 1.3 * size), line, colours[names[place]], font, above=False)


def _text(pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: Colour, font: Any, *,
          above: bool) -> None:
    left, top, right, bottom = pen.textbbox(place, text, font=font, anchor="lb" if above and place[1] > 14 else "lt")
    dark = sum(colour) < 380
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=colour)
    pen.text((left, top), text, fill="white" if dark else "black", font=font, anchor="lt")
