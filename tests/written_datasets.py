"""Small data sets that are written for a test, good or with one change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (24, 20), mode: str = "RGB") -> Path:
    """An image of noise; every seed another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng([seed, *size]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(path)
    return path


def folders(root: Path, counts=(("cat", 4), ("dog", 4)), top: str = "", first: int = 0) -> list[Path]:
    paths = []
    for name, count in counts:
        paths += [picture(root / top / name / f"{number}.png", first + 1000 * len(paths) + number)
                  for number in range(count)]
    return paths


def table(root: Path, rows: str | bytes, images: int = 8, folder: str = "") -> list[str]:
    for number in range(images):
        picture(root / folder / f"{number}.png", number)
    content = rows if isinstance(rows, bytes) else rows.encode()
    (root / "label.csv").write_bytes(content)
    return [f"dataset.root={root}"]


def coco(change):
    """A good COCO set after ``change(content)``."""
    def make(root):
        content = {
            "images": [{"id": number, "file_name": f"{number}.png"} for number in range(8)],
            "annotations": [{"id": number, "image_id": number, "category_id": number % 2, "bbox": [0, 0, 4, 4]}
                            for number in range(8)],
            "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        }
        for number in range(8):
            picture(root / "images" / f"{number}.png", number)
        change(content)
        (root / "annotations.json").write_text(json.dumps(content))
        return [f"dataset.root={root}"]
    return make


def json_text(text):
    def make(root):
        picture(root / "0.png", 1)
        (root / "annotations.json").write_text(text)
        return [f"dataset.root={root}", "dataset.format=coco"]
    return make


def labelme(change):
    """A good LabelMe set of which ``change(first file's content)`` affects one."""
    def make(root):
        for number in range(8):
            picture(root / f"{number}.png", number)
            content = {"imagePath": f"{number}.png", "flags": {}, "imageData": None,
                       "shapes": [{"label": "cat" if number < 4 else "dog", "points": [[1, 1], [9, 9]]}]}
            if number == 0:
                change(content)
            (root / f"{number}.json").write_text(json.dumps(content))
        return [f"dataset.root={root}"]
    return make


def append(key, value):
    return lambda content: content[key].append(value)
