"""``recipe=default``: what a network trains best with on few images; ``tuner=auto`` starts from it too.

A pure function: the same data and configuration give the same values. They were chosen by ``benchmarks/defaults.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.text import one_line
from sightsmith.engine.data.dataset_statistics import DatasetStatistics

STEP = 32
"""Input sizes are multiples of it, pixels: the stride of the networks' last layers."""

LEAST_SIDE, MOST_SIDE = 128, 1344
"""The smallest and the largest recommended input size, pixels."""

SMALL_OBJECT = 16
"""Objects should have at least this side at the input, pixels: two cells of the usual finest layer, stride 8."""

MOST_PIXELS = 32 * 384**2
"""Pixels per batch that fit into the memory of common devices."""

LEAST_STEPS, STEPS, LEAST_EPOCHS = 8, 4000, 10
"""The fewest steps of an epoch, the steps of a run, and its fewest epochs unless limited to fewer."""

LEAST_BATCH = 8
"""No batch is smaller for the sake of :data:`LEAST_STEPS`: batch normalization would have the statistics of too few."""

LONG = 40
"""Epochs from which detection has strong augmentation; before, learning from whole images is faster."""

RATE, SCRATCH_RATE, SGD_RATE, RATE_BATCH = 1e-3, 2e-3, 0.01, 16
"""Learning rates of Adam and AdamW for pretrained weights and from scratch, and that of SGD, for steps of
:data:`RATE_BATCH` images."""

SMOOTHED = 10
"""The moving average of the weights spans one of so many parts of the run."""

IMBALANCE = 3.0
"""Ratio of the most frequent to the rarest class from which rare classes are oversampled."""


def default_recipe(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
                   fixed: Collection[str] = ()) -> Recommendation:
    """The values for ``network``, given ``config``'s own of the keys ``fixed``. Batches and epochs stay within
    ``limits.*``."""
    decisions = [item for item in _input(network, data) if item.key not in fixed]
    if "image.size" in fixed:
        decisions = []  # tiles are only right for the input that they were chosen with
    chosen = Recommendation(tuple(decisions)).applied(config)
    schedule = {item.key: item for item in _schedule(chosen, network, data, fixed)}
    decisions += _augmentation(config, task, data, schedule["hyper.epochs"].value)
    decisions += schedule.values()
    return Recommendation(tuple(item for item in decisions if item.key not in fixed))


def _input(network: NetworkRecord, data: DatasetStatistics) -> Iterator[RecommendedValue]:
    """``image.size``, and ``dataset.tile`` if objects would be too small at any size."""
    own = _multiple(network.input_size)
    least = max(LEAST_SIDE, _multiple(network.min_size or network.input_size, math.ceil))
    size = min(own, max(_multiple(data.side, math.ceil), least))
    reason = (f"the default of {network.name} is {network.input_size}" if size == own else
              f"the images' longer side is {data.side}; upscaling adds no information"
              + (f"; {least} is the minimum" if size == least else ""))
    shown = data.object_side * size / data.side if data.object_side else SMALL_OBJECT
    if data.object_side and shown < SMALL_OBJECT:
        why = f"objects of {data.object_side:.3g} px in images of {data.side} would be {shown:.2g} px at {size}"
        ideal = _multiple(size * SMALL_OBJECT / shown, math.ceil)
        most = max(size, min(MOST_SIDE, _multiple(2 * data.side, math.ceil)))
        if ideal > most and data.side > size:
            # Images are at most doubled in size, because upscaling adds no information.
            tile = max(_multiple(size * data.object_side / SMALL_OBJECT, math.floor), _multiple(size / 2, math.ceil))
            yield RecommendedValue("dataset.tile", tile, f"{why}, and at most {most} px are recommended; tiles show "
                                                         "them larger")
        else:
            size, reason = min(ideal, most), f"{why}; {SMALL_OBJECT} px are two cells of the finest layer"
    yield RecommendedValue("image.size", size, reason)


def _multiple(value: float, rounded: Callable[[float], int] = round) -> int:
    return max(STEP, STEP * rounded(value / STEP))


def _augmentation(config: Config, task: TaskRecord, data: DatasetStatistics, epochs: int,
                  ) -> Iterator[RecommendedValue]:
    if data.annotation != "labels" and data.photos:
        yield RecommendedValue("augment.horizontal_flip", True, "a mirrored photo is as likely; turn it off if sides "
                                                                "differ")
    for key in ("brightness", "contrast", "saturation", "hue"):
        colour = key in ("saturation", "hue")
        if colour and data.monochrome:
            yield RecommendedValue(f"augment.color_jitter.{key}", 0.0, "the images are monochrome")
        elif data.photos and not getattr(config.augment.color_jitter, key):
            yield RecommendedValue(f"augment.color_jitter.{key}", 0.02 if key == "hue" else 0.1, "light varies")
    if task.annotation == "boxes" and data.photos and epochs >= LONG:  # of boxes and of instances' masks
        # How many epochs a time budget leaves is only known when the model has been timed.
        shared = {"probability": 0.5, **({} if config.trainer.time_budget is None else {"min_epochs": LONG})}
        strong = {"mosaic": {**shared, "closing": 0.1, "smallest": 0.5},
                  "affine": {**shared, "scale": 0.3, "shear": 5.0}}
        yield RecommendedValue("augment.extra", strong, f"few objects become many; worth it from {LONG} epochs")


def _schedule(config: Config, network: NetworkRecord, data: DatasetStatistics, fixed: Collection[str],
              ) -> Iterator[RecommendedValue]:
    """``hyper.*``, for the input and the starting weights of ``config``."""
    hyper, tile, pretrained = config.hyper, config.dataset.tile, config.network.weights != "none"
    images = data.train_images * (1 if tile is None else math.ceil(data.side / tile) ** 2)
    shown = f"{images} training images" + (" or about as many tiles" if tile else "")
    batch, batch_reason = _batch_size(config, images, shown, config.image.size or network.input_size)
    batch = hyper.batch_size if "hyper.batch_size" in fixed else batch
    per_step = batch * config.trainer.gradient_accumulation
    steps = math.ceil(images / per_step)
    epochs = min(max(LEAST_EPOCHS, math.ceil(STEPS / steps)), config.limits.epochs)
    epochs_reason = (f"{shown} are {steps} steps per epoch; {STEPS} steps, at least {LEAST_EPOCHS} and at most "
                     f"limits.epochs={config.limits.epochs} epochs")
    epochs = hyper.epochs if "hyper.epochs" in fixed else epochs
    yield RecommendedValue("hyper.batch_size", batch, batch_reason)
    yield RecommendedValue("hyper.epochs", epochs, epochs_reason)
    yield from _optimizer(hyper.optimizer if "hyper.optimizer" in fixed else "adamw", per_step,
                          network.learning_rate or RATE if pretrained else None)
    yield RecommendedValue("hyper.schedule", "cosine", "ends with small steps for any number of epochs")
    yield RecommendedValue("hyper.warmup_epochs", min(5.0, epochs / 20),
                           "a twentieth: protects the backbone from the new head" if pretrained else
                           "a twentieth: the first gradients are large")
    yield RecommendedValue("hyper.ema_decay", min(max(0.9, round(1 - SMOOTHED / (steps * epochs), 4)), 0.9998),
                           f"the mean of about a tenth of {steps * epochs} steps; single ones are noisy")
    yield RecommendedValue("hyper.patience", max(10, epochs // 4), "a quarter: the last epochs of a cosine gain most")
    (frequent, most), (rare, fewest) = data.frequent, data.rare
    unequal = most > IMBALANCE * fewest
    yield RecommendedValue("hyper.class_balance", "sampling" if unequal else "none",
                   f"training images of the most frequent class, {one_line(frequent)}: {most}, of the "
                   f"rarest, {one_line(rare)}: {fewest}; "
                   + ("rare classes are oversampled" if unequal else "balanced enough"))


def _optimizer(name: str, per_step: int, tuning_rate: float | None) -> Iterator[RecommendedValue]:
    """Of steps of ``per_step`` images; ``tuning_rate`` is AdamW's for the pretrained weights, None without them."""
    pretrained = tuning_rate is not None
    start = "pretrained weights" if pretrained else "training from scratch"
    yield RecommendedValue("hyper.optimizer", name, "works for convolutional networks and transformers")
    if name == "sgd":
        rate, scaled, growth = SGD_RATE, SGD_RATE * per_step / RATE_BATCH, "in proportion to"
    else:
        rate = tuning_rate or SCRATCH_RATE
        scaled, growth = rate * math.sqrt(per_step / RATE_BATCH), "with the square root of"
    yield RecommendedValue("hyper.learning_rate", float(f"{scaled:.2g}"),
                           f"{rate:g} for {start} and {RATE_BATCH} images per step, scaled {growth} their number")
    yield RecommendedValue("hyper.weight_decay", 0.001 if pretrained or name == "sgd" else 0.05,
                           "small, to stay close to the pretrained weights" if pretrained else start)
    yield RecommendedValue("hyper.momentum", 0.9, "the usual one, for AdamW the first beta")
    yield RecommendedValue("hyper.clip_grad_norm", 1.0 if pretrained else 10.0,
                           "limits the effect of a single bad batch")


def _batch_size(config: Config, images: int, shown: str, size: int) -> tuple[int, str]:
    """The largest one allowed, halved for few images and for large ones."""
    own = batch = config.limits.batch_size
    reasons = []
    while batch > LEAST_BATCH and images < LEAST_STEPS * batch:
        batch //= 2
    if batch < own:
        reasons.append(f"{shown}: an epoch should have {LEAST_STEPS} steps")
    fitting = batch
    while batch > 2 and batch * size**2 > MOST_PIXELS:
        batch //= 2
    if batch < fitting:
        reasons.append(f"reduced for memory at {size} px")
    return batch, " and ".join(reasons) or "limits.batch_size"
