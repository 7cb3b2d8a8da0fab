"""Data sets of boxes and masks that are wrong in one way each: ``name: (annotation, maker, expected text)``."""

from __future__ import annotations

import zlib
from base64 import b64encode

import numpy as np
import object_datasets as sets
from broken_datasets import folders, picture
from PIL import Image

EXPLODING = ('<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "xxxxxxxxxx">'
             + "".join(f'<!ENTITY {chr(ord(name) + 1)} "{f"&{name};" * 10}">' for name in "abcdefgh")
             + "]><annotation><filename>&i;</filename></annotation>")
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>'


def more(row):
    return lambda text: text + row + "\n"


def replaced(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new, 1)
    return change


def mask_row(width=24, height=20, text=None):
    content = sets.packed(np.ones((20, 24), bool)) if text is None else text
    good = f"1.png,cat,24,20,{sets.packed(sets.mask())}"
    return sets.mask_csv(replaced(good, f"1.png,cat,{width},{height},{content}"))


def annotation(**keys):
    return lambda content: content["annotations"][0].update(keys)


def turned(content):
    content["images"][0].update(width=20, height=24)


def shape(**keys):
    return lambda content: content["shapes"][0].update(keys)


def runs(counts, size=(20, 24)):
    return sets.coco([sets.POLYGON], annotation(segmentation={"size": list(size), "counts": counts}))


def labelled_only(root):
    folders(root)
    return [f"dataset.root={root}"]


def coco_labels(root):
    def change(content):
        for item in content["annotations"]:
            del item["bbox"]
    return sets.coco(change=change)(root)


def moved(values):
    return np.ascontiguousarray(values[:, :20])


def strange(values):
    values[0, 0] = 7
    return values


def painted(values):
    return Image.fromarray(np.stack([values, values * 0, values * 0], -1) * 90)


def jpeg_masks(root):
    overrides = sets.masks()(root)
    for path in (root / "masks").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    return overrides


def damaged_mask(root):
    overrides = sets.masks()(root)
    path = root / "masks" / "0.png"
    path.write_bytes(path.read_bytes()[:50])
    return overrides


def huge_mask(root):
    overrides = sets.masks()(root)
    Image.new("1", (15_000, 15_000)).save(root / "masks" / "0.bmp")
    (root / "masks" / "0.png").unlink()
    return overrides


def numbered_objects(root):
    for number in range(8):
        picture(root / "images" / f"{number}.png", number)
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.arange(480, dtype=np.uint8).reshape(20, 24) % 30).save(root / "masks" / f"{number}.png")
    return [f"dataset.root={root}"]


def many_classes(root):
    overrides = sets.mask_csv()(root)
    row = f"24,20,{sets.packed(sets.mask())}"
    (root / "label.csv").write_text("".join(f"{number % 8}.png,class{number},{row}\n" for number in range(255)))
    return [*overrides, "dataset.min_images_per_class=1"]


def voc_without_images(root):
    overrides = sets.voc()(root)
    (root / "JPEGImages" / "0.jpg").unlink()
    return overrides


def in_both_lists(root):
    overrides = sets.voc()(root)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("0\n1\n2\n4\n5\n")
    (root / "ImageSets" / "Main" / "val.txt").write_text("3\n5\n6\n")
    return overrides


def colour_table(root):
    overrides = sets.masks(names=None)(root)
    (root / "class_dict.csv").write_text("name,r,g,b\ncat,300,0,0\ncat,1,2,3\n")
    return overrides


BOMB = b64encode(zlib.compress(bytes(200_000_000))).decode()
NAMES = "names: [cat, dog]\n"

BROKEN = {
    "labels for boxes": ("boxes", labelled_only,
                         ["trains on boxes", "(class_folders) only has labels", "coco: ", "yolo"]),
    "boxes for masks": ("masks", sets.box_csv(), ["trains on masks", "(label_csv) only has boxes", "mask_folders"]),
    "COCO of labels": ("boxes", coco_labels, ["(coco) only has labels"]),
    "table: box outside": ("boxes", sets.box_csv(more("7.png,cat,20,3,8,6")),
                           ["label.csv:9: the box from (20, 3) to (28, 9) is not inside the image of 24 x 20 px"]),
    "table: box of no width": ("boxes", sets.box_csv(more("7.png,cat,20,3,0,6")), ["label.csv:9", "has no area"]),
    "table: negative height": ("boxes", sets.box_csv(more("7.png,cat,5,5,4,-2")), ["label.csv:9", "has no area"]),
    "table: NaN": ("boxes", sets.box_csv(more("7.png,cat,nan,3,8,6")), ["label.csv:9", "not a finite number"]),
    "table: infinite": ("boxes", sets.box_csv(more("7.png,cat,1,3,1e999,6")), ["label.csv:9", "not a finite number"]),
    "table: words": ("boxes", sets.box_csv(more("7.png,cat,a,3,8,6")),
                     ["label.csv:9: x_left,y_top,width,height are not four numbers: a,3,8,6"]),
    "table: row twice": ("boxes", sets.box_csv(more("1.png,cat,2,3,8,6")),
                         ["label.csv:9: the row duplicates line 2"]),
    "table: boxes and masks": ("boxes", sets.box_csv(more("7.png,cat,24,20,eJw=")),
                               ["label.csv:9: rows of five and six columns are mixed"]),
    "table: no class": ("boxes", sets.box_csv(more("7.png,,1,3,8,6")), ["label.csv:9: the class is empty"]),
    "table: rare class": ("boxes", sets.box_csv(more("7.png,owl,1,3,8,6")), ["the class 'owl' has 1 image"]),
    "table: mask of another size": ("masks", mask_row(12, 40), ["label.csv:2: the mask is 12 x 40 px", "24 x 20 px"]),
    "table: the same for boxes": ("boxes", mask_row(12, 40), ["label.csv:2: the mask is 12 x 40 px", "24 x 20 px"]),
    "table: mask of too few bits": ("masks", mask_row(24, 21), ["label.csv:2", "needs 63 bytes, but there are 60"]),
    "table: mask of too many": ("masks", mask_row(24, 19), ["label.csv:2", "needs 57 bytes, but there are more"]),
    "table: mask bomb": ("masks", mask_row(text=BOMB), ["label.csv:2", "needs 60 bytes, but there are more"]),
    "table: huge mask": ("masks", mask_row(10**9, 10**9), ["label.csv:2: width,height are 1000000000,1000000000"]),
    "table: mask size of words": ("masks", mask_row("x", 20), ["label.csv:2: width,height are x,20"]),
    "table: mask no base64": ("masks", mask_row(text="?!"), ["label.csv:2: the mask is not base64"]),
    "table: mask no zlib": ("masks", mask_row(text="AAAA"), ["label.csv:2: the mask is not a zlib stream"]),
    "table: mask cut short": ("masks", mask_row(text=b64encode(zlib.compress(b"\1\2\3" * 20)[:-6]).decode()),
                              ["label.csv:2", "truncated"]),
    "table: two masks of a class": ("masks", sets.mask_csv(more(f"1.png,cat,24,20,{sets.packed(~sets.mask())}")),
                                    ["label.csv:9: '1.png' already has a mask for the class 'cat' in line 2"]),
    "table: 255 classes": ("masks", many_classes, ["there are 255 classes; a semantic mask holds at most 254"]),
    "COCO: bbox of three": ("boxes", sets.coco(change=annotation(bbox=[1, 2, 3])),
                            ["annotations.json: the annotation 0: the bbox [1, 2, 3] is not four numbers"]),
    "COCO: bbox outside": ("boxes", sets.coco(change=annotation(bbox=[-5, 2, 9, 9])),
                           ["annotations.json: annotation 0: the box from (-5, 2)"]),
    "COCO: one without bbox": ("boxes", sets.coco(change=annotation(bbox=[])),
                               ["1 annotation has neither a bbox nor a segmentation: annotation 0"]),
    "COCO: NaN": ("boxes", sets.coco(change=annotation(bbox=[float("nan"), 2, 9, 9])), ["not a finite number"]),
    "COCO: size of another image": ("boxes", sets.coco(change=turned),
                                    ["an image of 20 x 24 px, but images/0.png has 24 x 20 px", "upright"]),
    "COCO: polygon of two points": ("masks", sets.coco([sets.POLYGON], annotation(segmentation=[[1, 2, 3, 4]])),
                                    ["annotation 0: a polygon has 2 points"]),
    "COCO: polygon of words": ("masks", sets.coco([sets.POLYGON], annotation(segmentation=[["a"] * 6])),
                               ["annotation 0: the segmentation is not a list of polygons"]),
    "COCO: polygon far away": ("masks", sets.coco([sets.POLYGON], annotation(segmentation=[[1e12, 2, 3, 4, 5, 6]])),
                               ["annotation 0: the polygon extends beyond the image"]),
    "COCO: one without mask": ("masks", sets.coco([sets.POLYGON], annotation(segmentation=[])),
                               ["annotation 0: the object of the class 'cat' has a box but no mask"]),
    "COCO: runs that do not fill": ("masks", runs([1, 2, 3]), ["annotation 0", "do not fill a mask of 24 x 20 px"]),
    "COCO: negative runs": ("masks", runs([481, -1]), ["annotation 0", "must be integers"]),
    "COCO: damaged runs": ("masks", runs("ooooooooooooo"), ["annotation 0: the run lengths are damaged"]),
    "COCO: runs of another size": ("masks", runs([400], (20, 20)), ["annotation 0: the mask is 20 x 20 px"]),
    "COCO: runs without a size": ("masks", sets.coco([sets.POLYGON], annotation(segmentation={"counts": [3]})),
                                  ["neither polygons nor run lengths"]),
    "LabelMe: a point": ("boxes", sets.labelme(change=shape(shape_type="point", points=[[1, 1]])),
                         ["0.json: shape 1: it is a point, which has no area"]),
    "LabelMe: rectangle of one point": ("boxes", sets.labelme(change=shape(points=[[1, 1]])),
                                        ["0.json: shape 1: it is a rectangle of 1 points; it needs two corners"]),
    "LabelMe: polygon of two points": ("masks", sets.labelme(change=shape(shape_type="polygon")),
                                       ["0.json: shape 1: it is a polygon of 2 points; at least 3 are needed"]),
    "LabelMe: points of words": ("boxes", sets.labelme(change=shape(points=[["a", 1], [2, 2]])),
                                 ["0.json: shape 1: points is not a list"]),
    "LabelMe: damaged mask": ("masks", sets.labelme(change=shape(shape_type="mask", mask="eA==")),
                              ["0.json: shape 1: its mask is not a base64 PNG"]),
    "LabelMe: rectangle outside": ("boxes", sets.labelme(change=shape(points=[[1, 1], [30, 9]])),
                                   ["0.json: shape 1: the box from (1, 1) to (30, 9) is not inside"]),
    "VOC: bomb of entities": ("boxes", sets.voc(lambda text: EXPLODING), ["0.xml:1: declares an entity"]),
    "VOC: external entity": ("boxes", sets.voc(lambda text: OUTSIDE), ["0.xml:1: declares an entity"]),
    "VOC: no XML": ("boxes", sets.voc(lambda text: text[:-20]), ["Annotations/0.xml", "is not XML"]),
    "VOC: deep XML": ("boxes", sets.voc(lambda text: "<a>" * 5000),
                      ["0.xml:1: elements are nested more than 100 deep"]),
    "VOC: another root": ("boxes", sets.voc(lambda text: "<svg/>"), ["0.xml: is not Pascal VOC", "is <svg>"]),
    "VOC: object without name": ("boxes", sets.voc(replaced("<name>cat</name>", "")),
                                 ["0.xml:3: an object has no name"]),
    "VOC: no bndbox": ("boxes", sets.voc(replaced("<xmin>3</xmin>", "")),
                       ["Annotations/0.xml:3: the bndbox of an object of the class 'cat'"]),
    "VOC: box turned over": ("boxes", sets.voc(replaced("<xmax>10", "<xmax>1")),
                             ["Annotations/0.xml:3", "has no area"]),
    "VOC: box outside": ("boxes", sets.voc(replaced("<xmax>10", "<xmax>40")), ["Annotations/0.xml:3", "is not inside"]),
    "VOC: another size": ("boxes", sets.voc(replaced("<width>24", "<width>48")),
                          ["0.xml", "an image of 48 x 20 px"]),
    "VOC: image missing": ("boxes", voc_without_images, ["Annotations/0.xml: there is no image '0'"]),
    "VOC: in both lists": ("boxes", in_both_lists,
                           ["ImageSets/Main/val.txt:2: '5' is also in the list ImageSets/Main/train.txt"]),
    "YOLO: class out of range": ("boxes", sets.yolo(change=more("2 0.5 0.5 0.1 0.1")),
                                 ["labels/train/0.txt:2: the class 2 is none of the 2 in data.yaml, which are "
                                  "numbered from 0 to 1"]),
    "YOLO: class of words": ("boxes", sets.yolo(change=more("cat 0.5 0.5 0.1 0.1")),
                             ["0.txt:2: the class 'cat' is not"]),
    "YOLO: six columns": ("boxes", sets.yolo(change=more("1 0.5 0.5 0.1 0.1 0.9")),
                          ["labels/train/0.txt:2: the row has 6 columns"]),
    "YOLO: pixels": ("boxes", sets.yolo(change=more("1 12 10 4 4")), ["0.txt:2: 12 is not a fraction"]),
    "YOLO: box outside": ("boxes", sets.yolo(change=more("1 0.9 0.5 0.6 0.1")),
                          ["labels/train/0.txt:2", "is not inside"]),
    "YOLO: NaN": ("boxes", sets.yolo(change=more("1 nan 0.5 0.6 0.1")),
                  ["labels/train/0.txt:2", "not a finite number"]),
    "YOLO: polygon and box": ("masks", sets.yolo(sets.YOLO_POLYGON, change=more("1 0.5 0.5 0.1 0.1")),
                              ["0.txt:2: the object of the class 'dog' has a box but no mask"]),
    "YOLO: nc": ("boxes", sets.yolo(yaml=sets.DATA_YAML.replace("nc: 2", "nc: 3")),
                 ["data.yaml: nc is 3, but there are 2 names"]),
    "YOLO: missing folder": ("boxes", sets.yolo(yaml=NAMES + "train: pictures\nval: images/val\n"),
                             ["data.yaml: train: there is no folder or list 'pictures'"]),
    "YOLO: a name of YAML's own": ("boxes", sets.yolo(yaml="train: images/train\nval: images/val\nnames: [yes, dog]\n"),
                                   ["data.yaml: names: YAML reads the name of class 0 as"]),
    "YOLO: names of YAML alone": ("boxes", sets.yolo(yaml="train: images\nnames: {a: [\n"),
                                  ["data.yaml:", "cannot be read"]),
    "YOLO: Python in YAML": ("boxes", sets.yolo(yaml="train: images\nnames: !!python/object/apply:os.system [ls]\n"),
                             ["data.yaml:2: cannot be read: a value of the type python/object/apply:os.system"]),
    "YOLO: Python in a YAML of names alone": ("boxes", sets.yolo(yaml="names: !!python/object/apply:os.system [ls]\n"),
                                              ["data.yaml:1: cannot be read: a value of the type python/object"]),
    "YOLO: a doubled key": ("boxes", sets.yolo(yaml=sets.DATA_YAML + "names: [dog, cat]\n"),
                            ["cannot be read: the key 'names' is given twice"]),
    "YOLO: aliases": ("boxes", sets.yolo(yaml="train: images\nnames: &a [cat, dog]\nmore: [*a, *a]\n"),
                      ["data.yaml:2: cannot be read: a value that an alias (*) repeats"]),
    "YOLO: key points": ("boxes", sets.yolo(yaml=sets.DATA_YAML + "kpt_shape: [17, 3]\n"), ["keypoints"]),
    "YOLO: nothing names the classes": ("boxes", sets.yolo(yaml=None), ["there is no data.yaml and no classes.txt"]),
    "masks: a value of no class": ("masks", sets.masks(strange), ["masks/0.png: values without a class: 7"]),
    "masks: the same for boxes": ("boxes", sets.masks(strange), ["masks/0.png: values without a class: 7"]),
    "masks: another size": ("masks", sets.masks(moved), ["masks/0.png: the semantic mask is 20 x 20 px", "24 x 20 px"]),
    "masks: colours": ("masks", sets.masks(save=painted),
                       ["7 semantic masks are in colour, and classes.txt maps no colours"]),
    "masks: JPEG": ("masks", jpeg_masks, ["masks/0.jpg: a semantic mask must be a PNG, TIFF or BMP"]),
    "masks: damaged": ("masks", damaged_mask, ["masks/0.png: cannot be read as a semantic mask"]),
    "masks: larger than anything": ("masks", huge_mask, ["masks/0.bmp: it has more than 178,956,970 pixels, "
                                             "and only PNG and TIFF are read in parts"]),
    "masks: numbers of objects": ("masks", numbered_objects, ["29 values; are they object ids"]),
    "masks: colour table": ("masks", colour_table, ["class_dict.csv:2: (300, 0, 0) is not a colour"]),
}
