"""A plain ``torch.nn.Module`` that returns logits, as a segmentation network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sightsmith.plugin import IGNORED
from sightsmith.plugins.openmmlab.module import ModuleModel


class ModuleSegmenter(ModuleModel):
    """``network`` maps images (N, 3, S, S) to logits (N, K + 1, h, w), background first."""

    def encode_decode(self, inputs: Tensor, metas: Sequence[dict[str, Any]]) -> Tensor:
        """Logits (N, K + 1, S, S) of images (N, 3, S, S), upsampled bilinearly if the network's are smaller."""
        logits: Tensor = self.network(inputs)
        if logits.shape[2:] == inputs.shape[2:]:
            return logits
        return functional.interpolate(logits, inputs.shape[2:], mode="bilinear", align_corners=False)

    def loss(self, inputs: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        """The mean cross entropy of the pixels that are not ignored; 0 if all are."""
        label = torch.stack([sample.gt_sem_seg.data[0] for sample in samples])
        logits = self.encode_decode(inputs, [sample.metainfo for sample in samples]).float()
        total = functional.cross_entropy(logits, label, ignore_index=IGNORED, reduction="sum")
        return {"loss_seg": total / (label != IGNORED).sum().clamp(min=1)}

    def predict(self, inputs: Tensor, samples: list[Any]) -> list[Any]:
        return self.postprocess_result(self.encode_decode(inputs, [sample.metainfo for sample in samples]), samples)

    def postprocess_result(self, logits: Tensor, samples: list[Any]) -> list[Any]:
        """``samples`` with ``seg_logits`` (K + 1, H, W) and ``pred_sem_seg`` (1, H, W), without padding, in pixels of
        the original image or tile."""
        from mmengine.structures import PixelData

        for place, sample in enumerate(samples):
            left, right, top, bottom = sample.img_padding_size
            height, width = logits.shape[2:]
            shown = logits[place:place + 1, :, top:height - bottom, left:width - right].float()
            found = functional.interpolate(shown, sample.ori_shape, mode="bilinear", align_corners=False)[0]
            sample.seg_logits = PixelData(data=found)
            sample.pred_sem_seg = PixelData(data=found.argmax(0, keepdim=True))
        return samples
