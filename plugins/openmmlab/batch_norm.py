"""Batch normalization for a single value per channel: one image whose features are pooled to one pixel."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class BatchNorm2d(nn.BatchNorm2d):
    """In training, a single value per channel has no variance and is normalised with the running statistics, which stay
    unchanged. torch raises an error instead."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.numel() > input.shape[1]:
            return super().forward(input)
        return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0,
                                     self.eps)


def patch_batch_norm(model: nn.Module) -> None:
    """Make every batch normalization of ``model`` a :class:`BatchNorm2d`; names and values are unchanged."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm2d
