"""Data sets that are wrong in one way each. A maker fills a folder and returns the overrides to read it with."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from broken_archives import absolute, bad_crc, bomb, climbing, cut_zip, linked, not_a_zip, zipped
from PIL import Image
from written_datasets import append, coco, folders, json_text, labelme, picture, table

GOOD_ROWS = "".join(f"{number}.png,{'cat' if number < 4 else 'dog'}\n" for number in range(8))
MULTI_ROWS = "".join(f"{number}.png,{name},{int((number + shift) % 2)}\n" for number in range(8)
                     for shift, name in enumerate(("red", "blue")))


def broken_table(rows, **keys):
    return lambda root: table(root, rows, **keys)


def with_file(name: str, content: bytes):
    """Good class folders, with one more file in a class."""
    def make(root: Path) -> list[str]:
        folders(root)
        (root / "cat" / name).write_bytes(content)
        return [f"dataset.root={root}"]
    return make


def truncated_jpeg(root):
    folders(root)
    path = picture(root / "cat" / "cut.jpg", 77, (200, 200))
    path.write_bytes(path.read_bytes()[:2000])
    return [f"dataset.root={root}"]


def sized(width, height, mode="L"):
    def make(root):
        folders(root)
        Image.new(mode, (width, height)).save(root / "cat" / "odd.png")
        return [f"dataset.root={root}"]
    return make


def larger_than_anything(root):
    folders(root)
    path = root / "cat" / "odd.png"
    Image.new("L", (20, 20)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (70_000).to_bytes(4, "big") * 2
    path.write_bytes(content)
    return [f"dataset.root={root}"]


def counts(*pairs):
    def make(root):
        folders(root, pairs)
        return [f"dataset.root={root}"]
    return make


def empty_class(root):
    folders(root)
    (root / "bird").mkdir()
    return [f"dataset.root={root}"]


def outside_link(root):
    folders(root)
    secret = picture(root.parent / "secret" / "x.png", 9)
    (root / "cat" / "link.png").symlink_to(secret)
    return [f"dataset.root={root}"]


def link_to_itself(root):
    folders(root)
    (root / "cat" / "loop.png").symlink_to(root / "cat" / "loop.png")
    return [f"dataset.root={root}"]


def decimals(root):
    folders(root)
    Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)).save(root / "cat" / "f.tif")
    return [f"dataset.root={root}"]


def dicom_without_pixels(root):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    folders(root)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientName = "nobody"
    data.save_as(root / "cat" / "report.dcm", enforce_file_format=True)
    return [f"dataset.root={root}"]


def leaking(root):
    folders(root, top="train")
    folders(root, top="val", first=500)
    picture(root / "train" / "cat" / "same.png", 4242)
    picture(root / "val" / "cat" / "again.png", 4242)
    return [f"dataset.root={root}"]


def only_in_validation(root):
    folders(root, top="train")
    folders(root, (("cat", 3), ("dog", 3), ("owl", 3)), top="val", first=500)
    return [f"dataset.root={root}"]


def twice_with_other_labels(root):
    folders(root)
    picture(root / "cat" / "twin.png", 4242)
    picture(root / "dog" / "twin.png", 4242)
    return [f"dataset.root={root}"]


def plain_file(root):
    root.mkdir(parents=True, exist_ok=True)
    (root / "set.txt").write_text("hello")
    return [f"dataset.root={root / 'set.txt'}"]


def missing_root(root):
    (root / "photos").mkdir(parents=True)
    return [f"dataset.root={root / 'photo'}"]


def empty_root(root):
    root.mkdir(parents=True, exist_ok=True)
    return [f"dataset.root={root}"]


def only_text(root):
    root.mkdir(parents=True, exist_ok=True)
    (root / "readme.txt").write_text("nothing here")
    return [f"dataset.root={root}"]


def with_override(*overrides):
    def make(root):
        folders(root)
        return [f"dataset.root={root}", *overrides]
    return make


def table_is_a_folder(root):
    (root / "label.csv").mkdir(parents=True)
    return [f"dataset.root={root}"]


def ambiguous_stem(root):
    picture(root / "image" / "a.png", 1)
    picture(root / "image" / "a.jpg", 2)
    return table(root, GOOD_ROWS + "a,cat\n")


BROKEN = {
    "truncated JPEG": (truncated_jpeg, ["cat/cut.jpg: cannot be used as an image"]),
    "empty image": (with_file("none.png", b""), ["cat/none.png", "the file is empty"]),
    "text called jpg": (with_file("note.jpg", b"hello there"), ["cat/note.jpg", "a text file"]),
    "gif called png": (with_file("g.png", b"GIF89a" + bytes(40)), ["cat/g.png", "the GIF is damaged"]),
    "PNG header only": (with_file("h.png", b"\x89PNG\r\n\x1a\n" + bytes(60)), ["cat/h.png"]),
    "unreadable DICOM": (with_file("x.dcm", b"\0" * 128 + b"DICM" + b"\xff" * 64), ["cat/x.dcm"]),
    "DICOM without pixels": (dicom_without_pixels, ["cat/report.dcm"]),
    "image too small": (sized(15, 40), ["cat/odd.png: is 15 x 40 px; each side must have at least 16 px"]),
    "image too large": (larger_than_anything, ["cat/odd.png: cannot be used as an image: it is 70000 x 70000 pixels, "
                                               "more than 4,294,967,295 in total"]),
    "decimals without a range": (decimals, ["cat/f.tif", "image.range=[low,high]"]),
    "class with two images": (counts(("cat", 4), ("dog", 2)), ["'dog' has 2 images; at least 3"]),
    "several small classes": (counts(("cat", 2), ("dog", 1), ("owl", 4)), ["'cat' has 2 images", "'dog' has 1 image;"]),
    "one class only": (counts(("cat", 5)), ["only one class, 'cat'"]),
    "empty class folder": (empty_class, ["bird: the class folder has no images"]),
    "link out of the set": (outside_link, ["cat/link.png: is a link to a file outside"]),
    "link that leads to itself": (link_to_itself, ["cat/loop.png: is a link that leads to itself"]),
    "same picture, other label": (twice_with_other_labels, ["the same image has different labels", "cat/twin.png"]),
    "leakage": (leaking, ["the same image is in both splits", "train/cat/same.png", "val/cat/again.png"]),
    "class in validation only": (only_in_validation, ["'owl' is in validation only"]),
    "missing root": (missing_root, ["there is no such folder. Did you mean 'photos'?"]),
    "root is a text file": (plain_file, ["is a file; it must be a folder or a zip"]),
    "empty root": (empty_root, ["is empty"]),
    "no images at all": (only_text, ["no data set of a known format", "class_folders", "label.csv"]),
    "unknown format": (with_override("dataset.format=class_folder"), ["Did you mean 'class_folders'"]),
    "another format named": (with_override("dataset.format=label_csv"), ["there is no file label.csv"]),
    "group_by does not compile": (with_override("dataset.group_by='(['"), ["is not a valid regular expression"]),
    "one group only": (with_override("dataset.group_by='(png)'"), ["leaves no image for validation"]),
    "zip that climbs out": (zipped(climbing), ["set.zip", "../../evil.png"]),
    "zip with an absolute path": (zipped(absolute), ["/etc/evil.png"]),
    "zip with a link": (zipped(linked), ["cat/link.png"]),
    "zip bomb": (zipped(bomb), ["set.zip"]),
    "zip cut short": (cut_zip, ["set.zip"]),
    "zip with a bad checksum": (bad_crc, ["cat/1.png"]),
    "no zip": (not_a_zip, ["set.zip"]),
    "empty zip": (zipped(lambda archive: None), ["empty"]),
    "paths alone": (broken_table("0.png\n1.png\n"), ["no image with an annotation was found"]),
    "endless path": (broken_table(GOOD_ROWS + "x" * 5000 + ",cat\n"), ["label.csv:9: there is no image '...xxx"]),
    "empty table": (broken_table(""), ["label.csv: the table is empty"]),
    "wrong columns": (broken_table(GOOD_ROWS + "0.png,cat,1,4\n"), ["label.csv:9: the row has 4 columns"]),
    "boxes among labels": (broken_table(GOOD_ROWS + "0.png,cat,1,2,3,4\n"),
                           ["label.csv:9: rows of two and six columns", "path,class,x_left,y_top,width,height"]),
    "masks among labels": (broken_table(GOOD_ROWS + "0.png,cat,24,20,eJw=\n"),
                           ["label.csv:9: rows of two and five columns", "path,class,width,height,mask"]),
    "absolute path": (broken_table(GOOD_ROWS + "/etc/passwd,cat\n"),
                      ["label.csv:9: there is no image '/etc/passwd' in the data set"]),
    "drive letter": (broken_table(GOOD_ROWS + "C:\\x.png,cat\n"), ["label.csv:9: there is no image 'C:\\\\x.png'"]),
    "path with ..": (broken_table(GOOD_ROWS + "../x.png,cat\n"), ["label.csv:9: there is no image '../x.png'"]),
    "missing image": (broken_table(GOOD_ROWS + "nothing.png,cat\n"), ["label.csv:9: there is no image 'nothing.png'"]),
    "ambiguous stem": (ambiguous_stem, ["label.csv:9: 'a' could be image/a.jpg, image/a.png"]),
    "duplicate row": (broken_table(GOOD_ROWS + "0.png,cat\n"), ["label.csv:9: the row duplicates line 1"]),
    "two classes": (broken_table(GOOD_ROWS + "0.png,dog\n"), ["label.csv:9", "class 'cat' in line 1 and 'dog' here"]),
    "0 and 1": (broken_table(MULTI_ROWS + "0.png,red,1\n"), ["label.csv:17", "is 0 for class 'red' in line 1 and 1"]),
    "value 2": (broken_table(MULTI_ROWS + "0.png,green,2\n"), ["label.csv:17", "'2'; it must be 0 or 1"]),
    "mixed columns": (broken_table(MULTI_ROWS + "1.png,red\n"), ["label.csv:17: rows of two and three columns"]),
    "empty class name": (broken_table(GOOD_ROWS.replace("7.png,dog", "7.png,")), ["label.csv:8: the class is empty"]),
    "empty path": (broken_table(GOOD_ROWS + ",cat\n"), ["label.csv:9: the image path is empty"]),
    "NUL in the table": (broken_table(GOOD_ROWS.encode() + b"a\0b.png,cat\n"), ["label.csv:9"]),
    "open quote": (broken_table('"0.png,cat\n' + GOOD_ROWS), ["label.csv", "cannot be read as a table"]),
    "table is a folder": (table_is_a_folder, ["no data set of a known format"]),
    "bad JSON": (json_text('{"images": [],\n "annotations": [}'), ["annotations.json:2: cannot be read: not JSON"]),
    "JSON list": (json_text("[1, 2]"), ["annotations.json: is not a COCO file"]),
    "deep JSON": (json_text("[" * 100_000), ["annotations.json"]),
    "COCO without categories": (coco(lambda content: content.pop("categories")), ["has no list 'categories'"]),
    "COCO unknown image": (coco(append("annotations", {"id": 99, "image_id": 77, "category_id": 0})),
                           ["annotation 99 refers to the image id 77"]),
    "COCO unknown category": (coco(append("annotations", {"id": 99, "image_id": 1, "category_id": 7})),
                              ["annotation 99 refers to the category id 7"]),
    "COCO duplicate category": (coco(append("categories", {"id": 5, "name": "cat"})),
                                ["category name 'cat' is duplicated"]),
    "COCO missing image": (coco(append("images", {"id": 50, "file_name": "gone.png"})), ["no image 'gone.png'"]),
    "COCO image twice": (coco(append("images", {"id": 50, "file_name": "1.png"})), ["the image '1.png' is duplicated"]),
    "COCO path with ..": (coco(append("images", {"id": 50, "file_name": "../x.png"})),
                          ["annotations.json: there is no image '../x.png'"]),
    "LabelMe without its image": (labelme(lambda content: content.update(imagePath="gone.png")),
                                  ["0.json: there is no image 'gone.png'", "imageData"]),
    "LabelMe with a text embedded": (labelme(lambda content: content.update(imagePath="gone.png", imageData="eA==")),
                                     ["gone.png: cannot be used as an image"]),
    "LabelMe with damaged imageData": (labelme(lambda content: content.update(imagePath="gone.png", imageData="e*")),
                                       ["0.json: imageData is damaged"]),
    "LabelMe leaving the set": (labelme(lambda content: content.update(imagePath="../../x.png")), ["0.json"]),
    "LabelMe shape without label": (labelme(lambda content: content["shapes"].append({"points": []})),
                                    ["0.json: shape 2 has no label"]),
    "LabelMe image named twice": (labelme(lambda content: content.update(imagePath="1.png")), ["1.json", "0.json"]),
}
if hasattr(os, "geteuid") and os.geteuid() != 0:  # root reads everything
    def _locked(root):
        folders(root)
        os.chmod(root / "cat" / "0.png", 0)
        return [f"dataset.root={root}"]
    BROKEN["unreadable file"] = (_locked, ["cat/0.png"])
