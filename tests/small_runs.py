"""What runs of seconds are started with, and the data that they see."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

LABELS = ["task=classification", "network=shufflenet_v2_x0_5", "network.weights=none", "dataset.root=sample",
          "dataset.limit=120", "recipe=platform", "image.size=32", "hyper.epochs=2", "trainer.precision=fp32",
          "trainer.memory_format=contiguous", "logger=[]"]
COMMON = ["recipe=platform", "network.weights=none", "image.size=64", "hyper.epochs=1", "hyper.batch_size=4",
          "trainer.precision=fp32", "trainer.memory_format=contiguous", "hyper.optimizer=adamw", "logger=[]"]
SMALL = [*COMMON, "dataset.root=sample", "dataset.limit=20", "dataset.validation_percentage=30"]
BOXES, MAPS = (["task=detection", "network=rtmdet_tiny"], ["task=segmentation", "network=fastscnn"])
SEARCH = [*LABELS[:4], "dataset.limit=60", "recipe=platform", "image.size=32", "trainer.precision=fp32",
          "trainer.memory_format=contiguous", "logger=[]"]


def coco(root, images, boxes_of) -> str:
    """A COCO set of noise; ``boxes_of(number)`` are xywh boxes of one class."""
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    root.mkdir()
    for number in range(images):
        values = np.random.default_rng(number).integers(0, 90, (64, 64, 3), dtype=np.uint8)
        content["images"].append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        for left, top, width, height in boxes_of(number):
            values[top:top + height, left:left + width] = 230
            content["annotations"].append({"id": len(content["annotations"]), "image_id": number, "category_id": 1,
                                           "bbox": [left, top, width, height], "area": width * height, "iscrowd": 0})
        Image.fromarray(values).save(root / f"{number}.png")
    (root / "annotations.json").write_text(json.dumps(content))
    return f"dataset.root={root}"


def photos(root) -> None:
    """Wide pictures of bright squares, with boxes and masks below ``boxes``, and maps below ``maps``."""
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    (root / "boxes").mkdir(parents=True)
    for folder in ("images", "masks"):
        (root / "maps" / folder).mkdir(parents=True)
    for number in range(16):
        random = np.random.default_rng(number)
        values = random.integers(0, 90, (80, 128, 3), dtype=np.uint8)
        shown = np.zeros((80, 128), np.uint8)
        content["images"].append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 80})
        for left, top in ((8 + 2 * number, 10), (70, 50 - 2 * number)):
            values[top:top + 24, left:left + 24] = 230
            shown[top:top + 24, left:left + 24] = 1
            content["annotations"].append({
                "id": len(content["annotations"]), "image_id": number, "category_id": 1, "area": 576, "iscrowd": 0,
                "bbox": [left, top, 24, 24],
                "segmentation": [[left, top, left + 24, top, left + 24, top + 24, left, top + 24]]})
        for path in (root / "boxes" / f"{number}.png", root / "maps" / "images" / f"{number}.png"):
            Image.fromarray(values).save(path)
        Image.fromarray(shown).save(root / "maps" / "masks" / f"{number}.png")
    (root / "boxes" / "annotations.json").write_text(json.dumps(content))
