"""``recipe=published``: how torchvision trained its weights, where it did so itself.

The values are those of ``references/classification/README.md`` in torchvision's repository, or of the pull request or
issue that the metadata of the weights name as their recipe. Weights that were ported have none: those of GoogLeNet,
Inception, DenseNet, EfficientNet and the large EfficientNetV2, nor have those that others contributed or that saw more
than ImageNet.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from sightsmith.plugin import (
    Config,
    DatasetStatistics,
    NetworkRecord,
    Recommendation,
    RecommendedValue,
    TaskRecord,
    UserError,
)

MOST_WEIGHT_DECAY = 0.1
"""The largest ``hyper.weight_decay``."""


@dataclass(frozen=True)
class Reference:
    """A training on ImageNet; ``images`` are those of a step on all devices, ``optimizer`` is None if there is no such
    one here, and ``lost`` says what else has no counterpart."""

    images: int = 256
    epochs: int = 90
    optimizer: str | None = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    schedule: str = "step"
    lr_step_size: int = 30
    lr_gamma: float = 0.1
    warmup_epochs: int = 0
    clip_grad_norm: float | None = None
    ema: bool = False
    label_smoothing: float = 0.0
    lost: tuple[str, ...] = ()
    source: str = "torchvision's references/classification"

    @property
    def ema_decay(self) -> float:
        """Of each step: its script divides that of the command line, 0.99998, by images and epochs."""
        return float(f"{1 - 2e-5 * self.images / self.epochs:.5f}") if self.ema else 0.0


MIXES = ("mixup", "cutmix", "TrivialAugment", "random erasing", "repeated augmentation")
NEWER = Reference(1024, 600, "sgd", 0.5, 2e-5, "cosine", warmup_epochs=5, ema=True, label_smoothing=0.1, lost=MIXES)
SWIN = Reference(1024, 300, "adamw", 1e-3, 0.05, "cosine", warmup_epochs=20, clip_grad_norm=5.0, ema=True,
                 label_smoothing=0.1, lost=(*MIXES, "a last learning rate of 1e-05"))
VIT = Reference(4096, 300, "adamw", 3e-3, 0.3, "cosine", warmup_epochs=30, clip_grad_norm=1.0, ema=True,
                label_smoothing=0.11, lost=("mixup", "cutmix", "RandAugment", "repeated augmentation"))
REGNET = Reference(1024, 100, "sgd", 0.8, 5e-5, "cosine", warmup_epochs=5)

TABLE: dict[str, Reference] = {
    "resnet18 resnet34 resnet50 resnet101 resnet152 vgg11_bn vgg13_bn vgg16_bn vgg19_bn": Reference(),
    "alexnet vgg11 vgg13 vgg16 vgg19": Reference(learning_rate=0.01),
    "resnext50_32x4d resnext101_32x8d": Reference(epochs=100),
    "mobilenet_v2": Reference(epochs=300, learning_rate=0.045, weight_decay=4e-5, lr_step_size=1, lr_gamma=0.98),
    "mobilenet_v3_large mobilenet_v3_small": Reference(
        1024, 600, None, 0.064, 1e-5, lr_step_size=2, lr_gamma=0.973,
        lost=("the optimizer RMSprop with its learning rate of 0.064 for 1024 images", "AutoAugment", "random erasing",
              "the mean of the three best checkpoints")),
    "squeezenet1_0 squeezenet1_1": Reference(128, 100, "sgd", 0.01, 2e-4, source="torchvision's pull request 49"),
    "regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_y_800mf regnet_y_1_6gf": REGNET,
    "regnet_y_400mf": replace(REGNET, learning_rate=0.4),
    "regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_y_3_2gf regnet_y_8gf": replace(
        REGNET, images=512, learning_rate=0.4),
    "regnet_x_32gf regnet_y_16gf regnet_y_32gf": replace(REGNET, images=256, learning_rate=0.2),
    "efficientnet_v2_s efficientnet_v2_m shufflenet_v2_x1_5 shufflenet_v2_x2_0": NEWER,
    "mnasnet0_75 mnasnet1_3": replace(NEWER, source="torchvision's pull request 6019"),
    "resnext101_64x4d": replace(NEWER, source="torchvision's pull request 5935"),
    "wide_resnet50_2 wide_resnet101_2": replace(NEWER, lost=MIXES[:-1], source="torchvision's issue 3995"),
    "convnext_tiny convnext_small convnext_base convnext_large": replace(
        NEWER, optimizer="adamw", learning_rate=1e-3, weight_decay=0.05),
    "swin_t swin_s swin_b swin_v2_t swin_v2_s swin_v2_b": SWIN,
    "maxvit_t": Reference(4096, 400, "adamw", 3e-3, 0.05, "cosine", warmup_epochs=32, clip_grad_norm=1.0, ema=True,
                          label_smoothing=0.1, lost=("mixup", "TrivialAugment", "a last learning rate of 1e-05")),
    "vit_b_16 vit_l_32": VIT,
    "vit_b_32": replace(VIT, lost=("mixup", "cutmix", "AutoAugment", "repeated augmentation")),
    "vit_l_16": replace(NEWER, clip_grad_norm=1.0),
}
"""The reference of each network; the names of a row are separated by spaces."""


def published(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
              fixed: Collection[str]) -> Recommendation:
    """The reference of ``network``. Raises UserError if there is none."""
    reference = next((known for names, known in TABLE.items() if network.name in names.split()), None)
    if reference is None:
        raise UserError(f"recipe=published: torchvision does not say how it trained {network.name}",
                        hint=f"type recipe=default, or one of the networks that have one: {' '.join(TABLE)}")
    source = reference.source
    batch = min(reference.images, config.limits.batch_size)
    batch = config.hyper.batch_size if "hyper.batch_size" in fixed else batch
    epochs = config.hyper.epochs if "hyper.epochs" in fixed else min(reference.epochs, config.limits.epochs)
    shorter = epochs / reference.epochs
    values = {
        "hyper.batch_size": batch, "hyper.epochs": epochs, "hyper.momentum": 0.9,
        "hyper.weight_decay": min(reference.weight_decay, MOST_WEIGHT_DECAY), "hyper.schedule": reference.schedule,
        "hyper.lr_step_size": max(math.floor(reference.lr_step_size * shorter), 1),
        "hyper.lr_gamma": reference.lr_gamma,
        "hyper.warmup_epochs": float(f"{reference.warmup_epochs * shorter:.3g}"),
        "hyper.clip_grad_norm": reference.clip_grad_norm, "hyper.ema_decay": reference.ema_decay,
        "task.label_smoothing": reference.label_smoothing}
    if reference.optimizer is not None:
        ratio = batch * config.trainer.gradient_accumulation / reference.images
        values |= {"hyper.optimizer": reference.optimizer,
                   "hyper.learning_rate": float(f"{reference.learning_rate * ratio:.3g}")}
    reasons = {
        "hyper.learning_rate": f"{source}: {reference.learning_rate:g} for steps of {reference.images} images",
        "hyper.epochs": f"{source}: {reference.epochs}; at most limits.epochs={config.limits.epochs}"}
    chosen = tuple(RecommendedValue(key, value, reasons.get(key, source)) for key, value in values.items())
    lost = ", ".join(_lost(reference))
    return Recommendation(chosen, warnings=(f"not mapped from {source}: {lost}",) if lost else ())


def _lost(reference: Reference) -> Iterator[str]:
    if reference.weight_decay > MOST_WEIGHT_DECAY:
        yield f"a weight decay of {reference.weight_decay:g}, which is {MOST_WEIGHT_DECAY:g} here"
    yield from reference.lost
