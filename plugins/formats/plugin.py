"""Registers the dataset formats."""

from __future__ import annotations

from sightsmith.plugin import Annotation, DatasetFormatRecord, hookimpl

PACKAGE = "sightsmith.plugins.formats"

ALL: tuple[Annotation, ...] = ("labels", "boxes", "masks")

FORMATS: tuple[tuple[str, str, tuple[Annotation, ...], str, str], ...] = (
    ("class_folders", "a folder for each class", ("labels",), "Classes/<class>/* or <class>/*", "ClassFolders"),
    ("train_val_folders", "class folders of a given split, as ImageNet has them", ("labels",),
     "train/<class>/* and val/<class>/*", "TrainValFolders"),
    ("label_csv", "a table of images with labels (single- or multi-label), boxes or masks", ALL,
     "label.csv without a header: path,class or path,class,0|1 or path,class,x_left,y_top,width,height or "
     "path,class,width,height,mask", "LabelCsv"),
    ("labelme", "a LabelMe JSON beside each image", ALL, "*.json with shapes and imagePath", "LabelMe"),
    ("coco", "COCO JSON: boxes, polygons, run lengths; the categories of an image are its labels", ALL,
     "annotations/*.json (or *.json) with images, annotations, categories", "Coco"),
    ("voc", "Pascal VOC's boxes", ("boxes",), "Annotations/*.xml and JPEGImages/*, or an XML beside each image", "Voc"),
    ("voc_masks", "Pascal VOC's maps of classes", ("masks",), "SegmentationClass/*.png and JPEGImages/*", "VocMasks"),
    ("yolo", "YOLO's boxes or polygons", ("boxes", "masks"), "data.yaml with images/* and labels/*.txt", "Yolo"),
    ("mask_folders", "a picture of classes for each image", ("masks",),
     "images/* and masks/*.png of the same names, with a classes.txt", "MaskFolders"),
)

WRITTEN = ("label_csv", "labelme", "coco", "voc", "yolo")


@hookimpl
def sightsmith_dataset_formats() -> list[DatasetFormatRecord]:
    return [
        DatasetFormatRecord(name=name, description=description, annotations=annotations, layout=layout,
                            builder=f"{PACKAGE}.{name}:{builder}",
                            writer=f"{PACKAGE}.write_{name}:write_{name}" if name in WRITTEN else None)
        for name, description, annotations, layout, builder in FORMATS
    ]
