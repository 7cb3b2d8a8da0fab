"""A small data set of every format and kind, with files beside it that must not be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import object_datasets as objects
import tool_datasets as tools
from broken_datasets import GOOD_ROWS, MULTI_ROWS, folders, picture, table
from dicom_files import slices
from hostile_images import SOURCES

CANARY = "canary-that-nobody-shows"
"""The class and the text of what lies beside a data set."""
LINK_TARGETS = ("secret.json", "secret.csv", "secret.xml", "secret.txt", "secret.yaml", "secret.png", "/dev/zero",
                "/etc/passwd")


def with_root(make: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    """``make`` fills a folder, and says whatever it says."""
    def fill(root: Path) -> list[str]:
        root.mkdir(parents=True, exist_ok=True)
        make(root)
        return [f"dataset.root={root}"]
    return fill


def zipped(root: Path) -> list[str]:
    folders(root / "set")
    shutil.make_archive(str(root / "pets"), "zip", root / "set")
    shutil.rmtree(root / "set")
    return [f"dataset.root={root / 'pets.zip'}"]


def split_folders(root: Path) -> None:
    folders(root, top="train")
    folders(root, top="val", first=500)


def kinds_of_images(root: Path) -> None:
    folders(root)
    for number, (name, content) in enumerate(SOURCES.items()):
        (root / "cat" / f"{number}-{name}").write_bytes(content)


def label_headers(root: Path) -> None:
    table(root, "path,class\n" + GOOD_ROWS)


LABELS: dict[str, Callable[[Path], list[str]]] = {
    "class_folders": with_root(folders), "train_val_folders": with_root(split_folders), "zip": zipped,
    "images of many kinds": with_root(kinds_of_images), "DICOM": with_root(slices),
    "label_csv": with_root(lambda root: table(root, GOOD_ROWS)), "label_csv, header": with_root(label_headers),
    "label_csv, many labels": with_root(lambda root: table(root, MULTI_ROWS)),
    **{f"{name}, labels": with_root(make("labels")) for name, make in tools.MAKERS.items() if name != "createml"}}
BOXES = {
    "label_csv, boxes": objects.box_csv(), "coco": objects.coco(), "labelme": objects.labelme(), "voc": objects.voc(),
    "voc, plain": objects.voc(plain=True), "yolo": objects.yolo(),
    **{f"{name}, boxes": with_root(make("box")) for name, make in tools.MAKERS.items()},
    "via, csv": with_root(tools.via("box", form="csv"))}
MASKS = {
    "label_csv, masks": objects.mask_csv(), "coco, polygons": objects.coco([objects.POLYGON]),
    "coco, runs": objects.coco({"size": [20, 24], "counts": [43, *[6, 14] * 7, 6, 291]}),
    "labelme, polygons": objects.labelme("polygon", ((2, 3), (10, 3), (10, 9), (2, 9))),
    "yolo, polygons": objects.yolo(objects.YOLO_POLYGON), "mask_folders": objects.masks(),
    "voc_masks": objects.voc_masks(),
    **{f"{name}, polygons": with_root(make("polygon")) for name, make in tools.MAKERS.items()
       if name in ("cvat", "label_studio", "via", "datumaro")}}
SETS = {name: (task, make) for task, makers in (("classification", LABELS), ("detection", BOXES),
                                                ("segmentation", MASKS)) for name, make in makers.items()}


def make(name: str, root: Path) -> tuple[str, Path]:
    """Fill ``root`` with the data set called ``name``; its task and ``dataset.root``."""
    task, maker = SETS[name]
    write_canaries(root.parent)
    return task, Path(maker(root)[0].removeprefix("dataset.root="))


def write_canaries(folder: Path) -> None:
    """What must not be read: files beside the data set, with a text of their own."""
    for target in LINK_TARGETS:
        if target.startswith("secret") and target != "secret.png":
            (folder / target).write_text(f'{{"{CANARY}": 1}}\n{CANARY},{CANARY}\n')
    (folder / CANARY).mkdir(parents=True, exist_ok=True)
    picture(folder / "secret.png", 99)
    picture(folder / CANARY / "1.png", 98)
