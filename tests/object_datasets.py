"""Small data sets of objects in every format: eight images of 24 x 20 px, the last without an object.

Images 0 to 3 show a cat, 4 to 6 a dog, each in the box :data:`BOX`, which its mask fills. ``change`` affects
what a maker is about to write.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
from broken_datasets import picture
from PIL import Image

WIDTH, HEIGHT = 24, 20
BOX = (2.0, 3.0, 10.0, 9.0)
"""left, top, right, bottom"""
ROWS, COLUMNS = slice(3, 9), slice(2, 10)
CLASSES = ("cat", "dog")


def label(number: int) -> str | None:
    return None if number == 7 else CLASSES[number > 3]


def mask() -> np.ndarray:
    values = np.zeros((HEIGHT, WIDTH), bool)
    values[ROWS, COLUMNS] = True
    return values


def packed(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.packbits(values).tobytes())).decode()


def pictures(root: Path, suffix: str = ".png") -> None:
    for number in range(8):
        picture(root / f"{number}{suffix}", number)


def same(content):
    return content


def csv(row, change=same):
    """``row`` is what stands after path,class."""
    def make(root: Path) -> list[str]:
        pictures(root)
        rows = [f"{number}.png,{label(number)},{row}" if label(number) else f"{number}.png" for number in range(8)]
        (root / "label.csv").write_text(change("\n".join(rows) + "\n"))
        return [f"dataset.root={root}"]
    return make


def box_csv(change=same):
    return csv("2,3,8,6", change)


def mask_csv(change=same):
    return csv(f"24,20,{packed(mask())}", change)


def coco(segmentation=None, change=lambda content: None):
    def make(root: Path) -> list[str]:
        pictures(root / "images")
        content = {
            "images": [{"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT}
                       for number in range(8)],
            "annotations": [{"id": number, "image_id": number, "category_id": CLASSES.index(label(number)),
                             "bbox": [2, 3, 8, 6], "iscrowd": 0}
                            | ({"segmentation": segmentation} if segmentation else {}) for number in range(7)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
        }
        change(content)
        (root / "annotations.json").write_text(json.dumps(content))
        return [f"dataset.root={root}"]
    return make


POLYGON = [2, 3, 10, 3, 10, 9, 2, 9]


def labelme(kind="rectangle", points=((2, 3), (10, 9)), change=lambda content: None):
    """``change`` gets the content of the first file."""
    def make(root: Path) -> list[str]:
        pictures(root)
        for number in range(8):
            shape = {"label": label(number), "shape_type": kind, "points": [list(point) for point in points],
                     "group_id": 1}
            content = {"imagePath": f"{number}.png", "imageWidth": WIDTH, "imageHeight": HEIGHT,
                       "shapes": [shape] if label(number) else []}
            if number == 0:
                change(content)
            (root / f"{number}.json").write_text(json.dumps(content))
        return [f"dataset.root={root}"]
    return make


def voc_xml(number: int, box=(3, 4, 10, 9), more: str = "") -> str:
    """1-based and inclusive, as in VOC."""
    sides = "".join(f"<{name}>{value}</{name}>" for name, value in zip(("xmin", "ymin", "xmax", "ymax"), box,
                                                                       strict=True))
    item = f"<object>\n<name>{label(number)}</name><difficult>0</difficult>\n<bndbox>{sides}</bndbox></object>"
    return (f"<annotation><filename>{number}.jpg</filename>\n<size><width>24</width><height>20</height>"
            f"<depth>3</depth></size>\n{item if label(number) else ''}{more}</annotation>\n")


def voc(change=same, box=(3, 4, 10, 9), plain=False):
    """``change`` gets the text of the first XML."""
    def make(root: Path) -> list[str]:
        pictures(root if plain else root / "JPEGImages", ".jpg")
        folder = root if plain else root / "Annotations"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(8):
            text = voc_xml(number, box)
            (folder / f"{number}.xml").write_text(change(text) if number == 0 else text)
        return [f"dataset.root={root}"]
    return make


DATA_YAML = "path: ../datasets/pets\ntrain: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n"
YOLO_BOX = "0.25 0.3 0.3333333333 0.3"
YOLO_POLYGON = "0.0833333333 0.15 0.4166666667 0.15 0.4166666667 0.45 0.0833333333 0.45"


def yolo(row=YOLO_BOX, yaml=DATA_YAML, change=same):
    """``change`` gets the text of the first image."""
    def make(root: Path) -> list[str]:
        for number in range(8):
            side = "val" if number in (3, 6) else "train"
            picture(root / "images" / side / f"{number}.jpg", number)
            if label(number):
                path = root / "labels" / side / f"{number}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                text = f"{CLASSES.index(label(number))} {row}\n"
                path.write_text(change(text) if number == 0 else text)
        if yaml is not None:
            (root / "data.yaml").write_text(yaml)
        return [f"dataset.root={root}", "dataset.min_images_per_class=1"]
    return make


def class_values(number: int, dog: int = 2) -> np.ndarray:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    if label(number):
        values[ROWS, COLUMNS] = 1 if label(number) == "cat" else dog
    return values


def palette(values: np.ndarray) -> Image.Image:
    """Indices with colours that are nothing like them; an ignored border."""
    image = Image.fromarray(values, mode="P")
    image.putpalette(bytes(np.random.default_rng(0).integers(0, 256, 768, np.uint8)))
    return image


def masks(change=same, names="cat\ndog\n", folder="masks", save=Image.fromarray):
    """``change`` gets the values of the first image."""
    def make(root: Path) -> list[str]:
        pictures(root / "images", ".jpg")
        (root / folder).mkdir()
        for number in range(8):
            values = class_values(number)
            save(change(values) if number == 0 else values).save(root / folder / f"{number}.png")
        if names is not None:
            (root / "classes.txt").write_text(names)
        return [f"dataset.root={root}"]
    return make


def voc_masks(names="background\ncat\ndog\n"):
    def make(root: Path) -> list[str]:
        pictures(root / "JPEGImages", ".jpg")
        (root / "SegmentationClass").mkdir()
        (root / "ImageSets" / "Segmentation").mkdir(parents=True)
        for number in range(7):
            palette(class_values(number)).save(root / "SegmentationClass" / f"{number}.png")
        (root / "ImageSets" / "Segmentation" / "train.txt").write_text("0\n1\n4\n5\n")
        (root / "ImageSets" / "Segmentation" / "val.txt").write_text("2\n3\n6\n")
        if names:
            (root / "labelmap.txt").write_text(names)
        return [f"dataset.root={root}"]
    return make
