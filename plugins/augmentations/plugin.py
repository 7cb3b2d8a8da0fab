"""Registers the augmentations."""

from __future__ import annotations

from functools import partial
from typing import Any

from sightsmith.plugin import AugmentationRecord, Option, hookimpl

PHOTOMETRIC, GEOMETRIC, COMPOSING = (f"sightsmith.plugins.augmentations.{kind}" for kind in (
    "photometric", "geometric", "composing"))


@hookimpl
def sightsmith_augmentations() -> list[AugmentationRecord]:
    return [*_photometric(), *_geometric(), *_composing()]


def _photometric() -> list[AugmentationRecord]:
    record = partial(_record, PHOTOMETRIC)
    moves = Option(False, "also shear, shift and rotate, which labels allow and boxes and masks do not",
                   tasks=("classification",))
    return [
        record("grey", "grey instead of colours", "Grey", colours=True),
        record("blur", "Gaussian blur", "Blur",
               sigma=Option(2.0, "largest standard deviation, pixels", low=0.2, high=20)),
        record("noise", "Gaussian noise", "Noise",
               strength=Option(0.05, "largest standard deviation, as a share of black to white", low=0, high=1)),
        record("jpeg", "artefacts of JPEG", "Jpeg", colours=True,
               quality=Option(40, "lowest quality", low=1, high=99)),
        record("clahe", "contrast-limited adaptive histogram equalization", "Clahe", colours=True,
               clip_limit=Option(4.0, "largest limit of the contrast", low=1, high=40),
               tiles=Option(8, "regions across and down", low=1, high=64)),
        record("gamma", "darker or lighter mid-tones", "Gamma",
               limit=Option(1.5, "largest exponent; the smallest is 1 / limit", low=1, high=5)),
        record("rand_augment", "RandAugment: some operations of one strength", "rand_augment", colours=True,
               geometric=moves, operations=Option(2, "operations for an image", low=1, high=8),
               magnitude=Option(9, "strength", low=0, high=30)),
        record("trivial_augment", "TrivialAugment: one operation of random strength", "trivial_augment",
               colours=True, geometric=moves),
        record("erasing", "one rectangle without content", "Erasing",
               area=Option(0.2, "largest share of the image's area", low=0.02, high=0.9)),
    ]


def _geometric() -> list[AugmentationRecord]:
    record = partial(_record, GEOMETRIC, kind="geometric")
    return [
        record("vertical_flip", "mirror top and bottom", "VerticalFlip"),
        record("affine", "zoom and shear", "Affine",
               scale=Option(0.3, "largest zoom: up to 1 + scale times larger or smaller", low=0, high=4),
               shear=Option(5.0, "largest shear across and down, degrees", low=0, high=45)),
        record("perspective", "seen from another side", "Perspective",
               distortion=Option(0.3, "how far a corner moves inwards at most, as a share of half a side", low=0,
                                 high=0.9)),
    ]


def _composing() -> list[AugmentationRecord]:
    record = partial(_record, COMPOSING, kind="composing")
    classes, boxes = ("classification",), ("detection",)
    return [
        record("mixup", "mean of two images and of their classes", "MixUp", tasks=classes,
               alpha=Option(0.2, "of the beta distribution of their weights", low=0.01, high=10)),
        record("cutmix", "a rectangle of another image, with its classes", "CutMix", tasks=classes,
               alpha=Option(1.0, "of the beta distribution of its area", low=0.01, high=10)),
        record("mosaic", "four images in one", "Mosaic", tasks=(*boxes, "segmentation"),
               smallest=Option(0.5, "smallest size of an image, relative to the whole", low=0.1, high=1)),
        record("copy_paste", "objects of another image, for networks that predict masks", "CopyPaste", tasks=boxes,
               objects=Option(5, "most objects", low=1, high=100)),
        record("multi_scale", "another input size for each image", "MultiScale", tasks=boxes,
               smallest=Option(0.75, "smallest side relative to the input size", low=0.1, high=1),
               largest=Option(1.25, "largest side relative to the input size", low=1, high=2)),
    ]


def _record(module: str, name: str, description: str, builder: str, *, kind: Any = "photometric",
            tasks: tuple[str, ...] = (), colours: bool = False, **options: Any) -> AugmentationRecord:
    return AugmentationRecord(name=name, description=description, builder=f"{module}:{builder}", options=options,
                              kind=kind, tasks=tasks, colours=colours)
