"""Registers the dataset formats."""

from __future__ import annotations

from sightsmith.plugin import Annotation, DatasetFormatRecord, hookimpl

PACKAGE = "sightsmith.plugins.formats"

ALL: tuple[Annotation, ...] = ("labels", "boxes", "masks")

FORMATS: tuple[tuple[str, str, tuple[Annotation, ...], str, str], ...] = (
    ("class_folders", "one folder per class", ("labels",), "Classes/<class>/* or <class>/*", "ClassFolders"),
    ("train_val_folders", "class folders below train/ and val/, as in ImageNet", ("labels",),
     "train/<class>/* and val/<class>/*", "TrainValFolders"),
    ("label_csv", "a table of images with labels (single- or multi-label), boxes or masks", ALL,
     "label.csv without a header: path,class or path,class,0|1 or path,class,x_left,y_top,width,height or "
     "path,class,width,height,mask", "LabelCsv"),
    ("labelme", "a LabelMe JSON next to each image", ALL, "*.json with shapes and imagePath", "LabelMe"),
    ("coco", "COCO JSON: boxes, polygons, run lengths; the categories of an image are its labels", ALL,
     "annotations/*.json (or *.json) with images, annotations, categories", "Coco"),
    ("voc", "Pascal VOC boxes", ("boxes",), "Annotations/*.xml and JPEGImages/*, or an XML next to each image", "Voc"),
    ("voc_masks", "Pascal VOC semantic masks", ("masks",), "SegmentationClass/*.png and JPEGImages/*", "VocMasks"),
    ("yolo", "YOLO boxes or polygons", ("boxes", "masks"), "data.yaml with images/* and labels/*.txt", "Yolo"),
    ("mask_folders", "a semantic mask per image", ("masks",),
     "images/* and masks/*.png (or volumes) with equal names, and a classes.txt", "MaskFolders"),
    ("case_folders", "a folder of volumes for each case", ("masks",),
     "<case>/* with a volume or several and their segmentation, as of KiTS and BraTS", "CaseFolders"),
    ("cvat", "CVAT for images 1.1: tags, boxes, polygons, ellipses and masks", ALL,
     "annotations.xml and images/* as CVAT exports them", "Cvat"),
    ("label_studio", "Label Studio's JSON and JSON-MIN: choices, rectangles, polygons, ellipses and brushes", ALL,
     "*.json as Label Studio exports it, and the images", "LabelStudio"),
    ("via", "the VGG Image Annotator 2: rectangles, polygons, circles and ellipses", ALL,
     "a project, or an export as JSON or CSV, and the images", "Via"),
    ("createml", "Create ML's JSON: boxes, or labels", ("labels", "boxes"),
     '*.json with a list of {"image": ..., "annotations": [...]}, and the images', "CreateMl"),
    ("datumaro", "Datumaro's JSON: labels, boxes, polygons, ellipses and masks", ALL,
     "annotations/*.json with categories and items, and images/*", "Datumaro"),
    ("hf_image_folder", "Hugging Face's image folder: labels, or boxes", ("labels", "boxes"),
     "metadata.jsonl or metadata.csv with file_name and label or objects, and the images", "HfImageFolder"),
    ("parquet", "Parquet files of images with labels, boxes or masks, as of Hugging Face", ALL,
     "*.parquet with a column image and label, objects or mask", "Parquet"),
)

WRITTEN = ("label_csv", "labelme", "coco", "voc", "yolo", "cvat", "label_studio", "via", "createml",
           "datumaro", "hf_image_folder", "parquet")
CHECKS = {"voc": "write_voc:check_voc", "cvat": "writing:check_xml", "parquet": "write_parquet:check_parquet"}
INSTALL = {"parquet": "pip install 'sightsmith[parquet]'"}


@hookimpl
def sightsmith_dataset_formats() -> list[DatasetFormatRecord]:
    return [
        DatasetFormatRecord(name=name, description=description, annotations=annotations, layout=layout,
                            builder=f"{PACKAGE}.{name}:{builder}",
                            writer=f"{PACKAGE}.write_{name}:write_{name}" if name in WRITTEN else None,
                            writer_check=f"{PACKAGE}.{CHECKS[name]}" if name in CHECKS else None,
                            install=INSTALL.get(name, ""))
        for name, description, annotations, layout, builder in FORMATS
    ]
