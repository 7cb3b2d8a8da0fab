"""Small data sets that are what a preset's card asks for, and the published weights that its network starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from broken_datasets import picture
from dicom_files import dicom
from object_datasets import packed
from pydicom.uid import generate_uid

from sightsmith.engine.config.presets import Preset

SIDE = 64
"""Of every image, pixels."""
IMAGES = {"single-label": 3, "multi-label": 6, "boxes": 3, "masks": 3}
"""How many there are, of each class for single labels: two thirds train."""
SPLIT = ["dataset.validation_percentage=33"]


def fitting(preset: Preset, root: Path, *, classes: Sequence[str] | None = None, annotation: str | None = None,
            modality: str | None = None) -> list[str]:
    """Fill ``root`` with what the card asks for, but for what is given; the overrides to read it with."""
    card = preset.card
    modalities = [modality] if modality else card.dicom_modalities
    classes, annotation = classes or card.classes, annotation or card.annotation
    root.mkdir(exist_ok=True)
    count = IMAGES[annotation] * (len(classes) if annotation == "single-label" else 1)
    names = [_image(root, number, card.images, modalities) for number in range(count)]
    rows = [row for number, name in enumerate(names) for row in _rows(annotation, name, number, classes)]
    (root / "label.csv").write_text("\n".join(rows) + "\n")
    return [f"dataset.root={root}", *SPLIT]


def _rows(annotation: str, name: str, number: int, classes: Sequence[str]) -> list[str]:
    if annotation == "single-label":
        return [f'{name},"{classes[number % len(classes)]}"']
    if annotation == "multi-label":
        return [f"{name},{label},{(number + place) % 2}" for place, label in enumerate(classes)]
    corners = [(20 * (place % 3) + 3, 20 * (place // 3) + 3) for place in range(len(classes))]
    if annotation == "boxes":
        return [f"{name},{label},{left},{top},16,14" for label, (left, top) in zip(classes, corners, strict=True)]
    rows = []
    for label, (left, top) in zip(classes, corners, strict=True):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[top:top + 14, left:left + 16] = True
        rows.append(f"{name},{label},{SIDE},{SIDE},{packed(mask)}")
    return rows


def _image(root: Path, number: int, wanted: str, modalities: Sequence[str]) -> str:
    """One of the kinds that the card names, in turn: DICOM of a study of its own, or PNG."""
    if modalities and ("PNG" not in wanted or number % 2):
        values = np.random.default_rng(number).integers(-1000, 1000, (SIDE, SIDE)).astype("<i2")
        return dicom(root / f"{number}.dcm", values, 16, Modality=modalities[number % len(modalities)],
                     StudyInstanceUID=generate_uid(entropy_srcs=[str(number)])).name
    return picture(root / f"{number}.png", number, (SIDE, SIDE), "L" if "grey" in wanted else "RGB").name


PUBLISHED = {
    "densenet121": "densenet121-a639ec97.pth", "efficientnet_b2": "efficientnet_b2_rwightman-c35c1473.pth",
    "efficientnet_b3": "efficientnet_b3_rwightman-b3899882.pth", "faster_rcnn_r50": "resnet50-0676ba61.pth",
    "retinanet_r50": "resnet50-0676ba61.pth", "deeplabv3plus_r50": "resnet50_v1c-2cccc1ad.pth",
}
"""The file that the preset of a network starts from."""


def published_weights(network: str, folder: Path) -> Path:
    """The file of the name and of the tensors that are published for ``network``, with random values."""
    import torch
    from torchvision.models import get_model

    from sightsmith.plugins.openmmlab.build import registry

    path = folder / PUBLISHED[network]
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        if "resnet50_v1c" in path.name:
            backbone = registry("mmseg").get("ResNetV1c")(depth=50)
            torch.save({"state_dict": {**backbone.state_dict(), "fc.weight": torch.zeros(1000, 2048)}}, path)
        else:
            torch.save(get_model(path.name.split("-")[0].removesuffix("_rwightman")).state_dict(), path)
    return path
