"""Registers the dataset formats."""

from __future__ import annotations

from sightsmith.core.hookspecs import hookimpl
from sightsmith.core.records import DatasetLoaderRecord

PACKAGE = "sightsmith.plugins.formats"


@hookimpl
def sightsmith_dataset_loaders() -> list[DatasetLoaderRecord]:
    return [
        DatasetLoaderRecord(name=name, description=description, annotations=("labels",), layout=layout,
                            builder=f"{PACKAGE}.{name}:{builder}")
        for name, description, layout, builder in (
            ("class_folders", "a folder for each class", "Classes/<class>/* or <class>/*", "ClassFolders"),
            ("train_val_folders", "class folders of a given split, as ImageNet has them",
             "train/<class>/* and val/<class>/*", "TrainValFolders"),
            ("label_csv", "a table of images and labels, single- or multi-label",
             "label.csv without a header: path,class or path,class,0|1", "LabelCsv"),
            ("labelme", "a LabelMe JSON beside each image", "*.json with shapes and imagePath", "LabelMe"),
            ("coco", "COCO JSON; the categories of an image are its labels",
             "annotations/*.json (or *.json) with images, annotations, categories", "Coco"),
        )
    ]
