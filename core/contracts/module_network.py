"""Networks that are plain ``torch.nn.Module``s: their record and builder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sightsmith.core.contracts.network_record import NetworkRecord

if TYPE_CHECKING:
    from torch import nn


class ModuleBuilder(Protocol):
    """Builds a network with random weights."""

    def __call__(self, *, num_classes: int, channels: int, size: int, **options: Any) -> nn.Module:
        """The network for images of ``channels`` channels, normalised, whose longer side has ``size`` pixels.

        Classification: ``num_classes`` counts the classes; images (N, C, size, size) float32 give logits
        (N, num_classes).

        Segmentation: ``num_classes`` includes the background, number 0; images (N, C, size, size) float32 give
        logits (N, num_classes, H, W), which are upsampled bilinearly if they are smaller than the image.

        Detection, as in torchvision: ``num_classes`` includes the background, number 0. In training mode
        ``module(images, targets)`` returns a dict of losses, in eval mode ``module(images)`` a list of dicts: ``boxes``
        (n, 4) float32 xyxy in pixels of the input image, ``labels`` (n,) int64 from 1, ``scores`` (n,) in
        [0, 1]. ``images`` is a list of (C, h, w) float32, ``targets`` a list of dicts with ``boxes`` and ``labels``,
        which may be empty.
        """


@dataclass(frozen=True, kw_only=True)
class ModuleNetworkRecord(NetworkRecord):
    """A network that is a plain ``torch.nn.Module``; the task adapts it to the engine.

    The builder is a :class:`ModuleBuilder`, called with :attr:`options` updated by the user's ``network.options``.
    The module gets (value - ``mean``) / ``std`` per channel, of values in [0, 1]; use 0 and 1 if it normalises its
    input itself. ``backbone`` is the dotted name of the feature extractor, which ``hyper.backbone_lr_scale`` slows down
    or freezes, and whose output ``base_run.distillation`` compares. Empty, it is everything before a classifier's last
    layer, and nothing for a detector or segmenter.

    Raises ValueError if ``mean`` and ``std`` differ in length, or a deviation is not above 0.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    backbone: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.mean) != len(self.std) or any(value <= 0 for value in self.std):
            raise ValueError(f"mean and std of {self.name!r} must have one value per channel, std above 0")
