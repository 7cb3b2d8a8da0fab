"""A small network with a heat map per keypoint, in mmengine's BaseModel contract."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
"""Input pixels per cell of the heat map."""


class HeatmapNetwork(BaseModel):
    """``inputs`` (N, 3, S, S) in [0, 1]; ``data_samples["points"]`` (N, K, 2) x and y in [0, 1], NaN where not visible.

    ``tensor`` and ``predict`` give logits (N, K, S/4, S/4); ``loss`` the cross entropy over cells.
    """

    def __init__(self, points: int) -> None:
        super().__init__(data_preprocessor=BaseDataPreprocessor())
        widths = (3, 32, 48, 64, 64)
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [nn.Conv2d(before, after, 3, stride=2 if number < 2 else 1, padding=1 if number < 3 else 4,
                                 dilation=1 if number < 3 else 4, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Conv2d(widths[-1], 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, points, 1))

    def forward(self, inputs: Tensor, data_samples: dict[str, Tensor] | None = None, mode: str = "tensor") -> Any:
        logits = self.head(self.features(inputs))
        if mode != "loss":
            return logits
        assert data_samples is not None
        losses = place_losses(logits, data_samples["points"])
        visible = ~losses.isnan()
        return {"loss_place": torch.where(visible, losses, 0.0).sum() / visible.sum().clamp(min=1)}


def place_losses(logits: Tensor, points: Tensor) -> Tensor:
    """The cross entropy (N, K) over the cells for ``points`` (N, K, 2); NaN if not visible."""
    height, width = logits.shape[-2:]
    size = torch.tensor([width, height], device=points.device)
    places = (points.nan_to_num() * size).long().clamp(min=torch.zeros_like(size), max=size - 1)
    target = places[..., 1] * width + places[..., 0]
    losses = functional.cross_entropy(logits.flatten(2).flatten(0, 1).float(), target.flatten(), reduction="none")
    return losses.view(target.shape).masked_fill(points.isnan().any(-1), torch.nan)


def located(logits: Tensor) -> Tensor:
    """(N, K, 3): x and y in [0, 1] of the centre of the most probable cell, and its probability."""
    height, width = logits.shape[-2:]
    best = logits.flatten(2).float().softmax(-1).max(-1)
    row, column = best.indices // width, best.indices % width
    return torch.stack([(column + 0.5) / width, (row + 0.5) / height, best.values], -1)


def build_network(points: int) -> HeatmapNetwork:
    return HeatmapNetwork(points)
