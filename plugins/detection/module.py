"""A plain ``torch.nn.Module`` that follows torchvision's contract of detectors, as a detection network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from sightsmith.plugin import HeadLayout, HeadRow, UserError
from sightsmith.plugins.openmmlab.module import ModuleModel

BACKGROUND = "background"


class ModuleDetector(ModuleModel):
    """``network(images, targets)`` returns losses in training mode, ``network(images)`` detections in eval mode, see
    :class:`sightsmith.plugin.ModuleBuilder`; its classes are numbered from 1."""

    def loss(self, inputs: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        targets = [{"boxes": sample.gt_instances.bboxes, "labels": sample.gt_instances.labels + 1}
                   for sample in samples]
        losses = self.network(_images(inputs, samples), targets)
        if not isinstance(losses, dict):
            raise UserError(f"The network returned a {type(losses).__name__} in training mode, not a dict of losses, "
                            "as torchvision's detectors return")
        return {name if "loss" in name else f"loss_{name}": value for name, value in losses.items()}

    def predict(self, inputs: Tensor, samples: list[Any]) -> list[Any]:
        from mmengine.structures import InstanceData

        for sample, found in zip(samples, self.network(_images(inputs, samples)), strict=True):
            if missing := {"boxes", "labels", "scores"} - set(found):
                raise UserError(f"The network's detections lack {', '.join(sorted(missing))}, unlike torchvision's")
            if len(found["labels"]) and int(found["labels"].min()) < 1:
                raise UserError("The network predicted a class below 1: 0 is the background, classes start at 1, as in "
                                "torchvision")
            scale = found["boxes"].new_tensor(sample.scale_factor * 2)
            sample.pred_instances = InstanceData(bboxes=found["boxes"] / scale, labels=found["labels"] - 1,
                                                 scores=found["scores"])
        return samples


def _images(inputs: Tensor, samples: list[Any]) -> list[Tensor]:
    """The images of a batch, without padding."""
    return [image[:, :sample.img_shape[0], :sample.img_shape[1]]
            for image, sample in zip(inputs, samples, strict=True)]


def background_first_layout(name: str, per_class: int) -> HeadLayout:
    """The layout of torchvision's heads: grouped by class for regression, else by anchor, with the background first."""
    def layout(rows: int, classes: Sequence[str]) -> Sequence[HeadRow] | None:
        row = [BACKGROUND, *classes]
        if rows != per_class * len(row):
            return None
        if "bbox" in name or "reg" in name:
            return [(entry, part) for entry in row for part in range(per_class)]
        return [(entry, anchor) for anchor in range(per_class) for entry in row]

    return layout
