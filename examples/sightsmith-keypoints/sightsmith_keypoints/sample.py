"""The embedded data set: pins on a noisy background, with head and tip as keypoints, in COCO boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sightsmith.plugin import fill_folder

SIDE, PINS = 96, 240
NAMES = ("head", "tip")
BOX = 4
"""Side of the box around a keypoint, pixels."""


def write_sample(folder: Path) -> None:
    """Write the data set into ``folder``, unless it exists."""
    fill_folder(folder, _fill)


def _fill(folder: Path) -> None:
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    images, annotations = [], []
    for number in range(PINS):
        ground = random.normal(90, 18, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
        picture = Image.fromarray(ground)
        angle, length = random.uniform(0, 2 * np.pi), random.uniform(25, 40)
        head = random.uniform(45, SIDE - 45, 2)
        tip = head + length * np.array([np.cos(angle), np.sin(angle)])
        pen = ImageDraw.Draw(picture)
        pen.line([*head, *tip], fill=170, width=2)
        pen.ellipse([*(head - 5), *(head + 5)], fill=230)
        picture.save(folder / "images" / f"pin_{number:03}.png")
        images.append({"id": number, "file_name": f"pin_{number:03}.png", "width": SIDE, "height": SIDE})
        for category, point in enumerate((head, tip), 1):
            left, top = (point - BOX / 2).tolist()
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category,
                                "bbox": [left, top, BOX, BOX], "area": BOX * BOX, "iscrowd": 0})
    (folder / "annotations.json").write_text(json.dumps({
        "images": images, "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]}))
