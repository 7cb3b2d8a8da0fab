"""The embedded data sets of detection and segmentation: scikit-learn's handwritten digits on canvases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightsmith.plugin import Array, fill_folder

SIDE = 128
"""Pixels of a square canvas."""

DIGIT = (28, 48)
"""Smallest and largest side of a digit on the canvas, pixels."""

INK = 0.35
"""Grey value from which a pixel belongs to the digit."""

CANVASES = 300
MAX_DIGITS = 6
"""Digits per canvas: 0 (a negative) to this many."""

CLASSES = {"zero": 0, "one": 1, "four": 4}
"""The digits used: ten classes would need more images than a quick start should take."""


@dataclass(frozen=True)
class Canvas:
    """An ``image`` (SIDE, SIDE) uint8, the mask (SIDE, SIDE) bool of each digit on it, and its class."""

    image: Array
    masks: tuple[Array, ...]
    labels: tuple[str, ...]


def canvases() -> Iterator[Canvas]:
    """Deterministic; digits do not overlap, and masks contain only ink."""
    from sklearn.datasets import load_digits  # slow to import, and only needed once

    random = np.random.default_rng(0)
    digits = load_digits()
    name_of = {digit: name for name, digit in CLASSES.items()}
    places = np.flatnonzero(np.isin(digits.target, list(CLASSES.values())))
    for _ in range(CANVASES):
        image = random.normal(40, 8, (SIDE, SIDE))
        taken = np.zeros((SIDE, SIDE), bool)
        masks, labels = [], []
        for _ in range(int(random.integers(0, MAX_DIGITS + 1))):
            place = int(random.choice(places))
            side = int(random.integers(DIGIT[0], DIGIT[1] + 1))
            top, left = (int(value) for value in random.integers(0, SIDE - side, 2))
            window = np.s_[top:top + side, left:left + side]
            if taken[window].any():
                continue
            ink = Image.fromarray(np.float32(digits.images[place] / 16)).resize((side, side), Image.Resampling.BICUBIC)
            values = np.clip(np.asarray(ink), 0, 1)
            mask = np.zeros((SIDE, SIDE), bool)
            mask[window] = values >= INK
            image[window] += np.where(values >= INK, 190 * values, 0)
            taken[window] = True
            masks.append(mask)
            labels.append(name_of[int(digits.target[place])])
        yield Canvas(np.clip(np.rint(image), 0, 255).astype(np.uint8), tuple(masks), tuple(labels))


def write_boxes(folder: Path) -> None:
    """``images/*.png`` and a COCO file of boxes and masks."""
    def fill(root: Path) -> None:
        from pycocotools import mask as coco

        (root / "images").mkdir()
        content: dict[str, list[dict[str, object]]] = {
            "images": [], "annotations": [],
            "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]}
        for number, canvas in enumerate(canvases()):
            name = f"digits-{number:03d}.png"
            Image.fromarray(canvas.image).save(root / "images" / name)
            content["images"].append({"id": number, "file_name": name, "width": SIDE, "height": SIDE})
            for mask, label in zip(canvas.masks, canvas.labels, strict=True):
                rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                content["annotations"].append({
                    "id": len(content["annotations"]), "image_id": number,
                    "category_id": 1 + list(CLASSES).index(label),
                    "bbox": coco.toBbox(rle).tolist(), "area": float(coco.area(rle)), "iscrowd": 0,
                    "segmentation": {"size": [SIDE, SIDE], "counts": rle["counts"].decode()}})
        (root / "annotations.json").write_text(json.dumps(content))

    fill_folder(folder, fill)


def write_masks(folder: Path) -> None:
    """``images/*.png``, ``masks/*.png`` with class numbers (0 is background), and ``classes.txt``."""
    def fill(root: Path) -> None:
        (root / "images").mkdir()
        (root / "masks").mkdir()
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
        for number, canvas in enumerate(canvases()):
            numbers = np.zeros((SIDE, SIDE), np.uint8)
            for mask, label in zip(canvas.masks, canvas.labels, strict=True):
                numbers[mask] = 1 + list(CLASSES).index(label)
            for kind, values in (("images", canvas.image), ("masks", numbers)):
                Image.fromarray(values).save(root / kind / f"digits-{number:03d}.png")

    fill_folder(folder, fill)
