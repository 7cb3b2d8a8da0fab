"""``tuner=auto``: recommends network, input, augmentation and hyper-parameters from preferences, scores and data.

Everything here is a pure function: the same data and preferences give the same recommendation.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightsmith.core.contracts.annotation import Annotation
from sightsmith.core.contracts.network_record import NetworkRecord, Score
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue, SearchRange, owned
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config, walk
from sightsmith.core.util.errors import UserError

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import CheckedDataset

STOPS = 5
PERMISSIVE = ("Apache-2.0", "BSD-", "MIT")
"""Prefixes of the licences under which networks are recommended."""

MOST_ERROR = 2.0
"""Networks with more than this many times the published error of the best one are not considered."""

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

RATE, RATE_BATCH = 2e-4, 16
"""AdamW's learning rate for pretrained weights, and the number of images per step that it is for."""

IMBALANCE = 3.0
"""Ratio of the most frequent to the rarest class from which rare classes are oversampled."""

MODALITIES = {"ct": ("CT",), "mri": ("MR",), "fundus": ("OP",),
              "xray": ("CR", "DX", "IO", "MG", "PX", "RF", "RG", "XA")}
"""DICOM modality codes by ``preference.image_type``: PS3.3 C.7.3.1.1.1."""

SOFT_TISSUE = [40, 400]
"""Centre and width in Hounsfield units."""

SIDED = ("ct", "mri", "xray")

PBT_RATE, PBT_DECAY, PBT_MOMENTUM = (1e-5, 0.1), (5e-6, 0.002), (0.8, 0.99)
"""The full search ranges; a recommended range is a part of them, extended only to contain the recommended value."""

ADAM_RATE = 1e-3


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a checked data set that the recommendation depends on.

    ``side`` is the median longer side of the images, ``object_side`` the median square root of the areas
    of the objects' boxes (None without boxes), both in pixels. ``frequent`` and ``rare`` are the classes
    with the most and the fewest training images, and their number.
    """

    annotation: Annotation
    train_images: int
    side: int
    object_side: float | None
    frequent: tuple[str, int]
    rare: tuple[str, int]
    monochrome: bool
    modalities: tuple[str | None, ...]
    """DICOM modalities; None stands for images that are not DICOM"""

    @classmethod
    def of(cls, dataset: CheckedDataset) -> DatasetStatistics:
        infos = [dataset.infos[sample.name] for sample in dataset.train]
        boxes = [item.box for sample in dataset.train for item in sample.objects if not item.crowd]
        sides = [math.sqrt((right - left) * (bottom - top)) for left, top, right, bottom in boxes]
        counts = Counter(dict.fromkeys(dataset.index.classes, 0))
        counts.update(label for sample in dataset.train for label in set(sample.labels))
        ranked = counts.most_common()
        return cls(dataset.index.annotation, len(dataset.train),
                   int(statistics.median(max(info.width, info.height) for info in infos)),
                   statistics.median(sides) if sides else None, ranked[0], ranked[-1],
                   all(info.monochrome for info in infos),
                   tuple(sorted({info.modality for info in infos}, key=str)))


def recommend(config: Config, task: TaskRecord, networks: Iterable[NetworkRecord],
              data: DatasetStatistics) -> Recommendation:
    """Raises UserError if no network has a published score to compare."""
    if config.flow != "general":
        return _kept(config)
    balance = config.preference.balance
    stops = pareto_front(networks, task, data.annotation)
    place = math.floor((balance - 1) * (len(stops) - 1) / (STOPS - 1) + 0.5)
    network = stops[place]
    decisions = [
        RecommendedValue("network.name", network.name,
                 f"stop {balance} of {STOPS} from faster to more accurate: {_describe(network)}; the fastest is "
                 f"{stops[0].name} ({_describe(stops[0])}), the most accurate {stops[-1].name} "
                 f"({_describe(stops[-1])})"),
        RecommendedValue("network.weights", "published", f"trained on {network.pretrained}: {network.weights}; better "
                                                         "than training from scratch on few images"),
        *_input(network, data), *_pictures(config, data)]
    chosen = {item.key: item.value for item in decisions}
    decisions += _hyper(config, data, chosen["image.size"], chosen.get("dataset.tile"))
    return Recommendation(tuple(decisions), tuple(_space(decisions)),
                  tuple(_contradictions(config.preference.image_type, data)))


def _kept(config: Config) -> Recommendation:
    """A preset or the base run of a retraining determines everything."""
    reason = f"from the preset {config.preset.name}" if config.preset.name else "from the base run"
    decisions = tuple(RecommendedValue(key, value, reason) for key, _, value in walk(config)
                      if owned(key) and value not in (None, {}))
    return Recommendation(decisions, tuple(_space(decisions)))


def pareto_front(networks: Iterable[NetworkRecord], task: TaskRecord, annotation: Annotation) -> list[NetworkRecord]:
    """The networks for ``task`` that no cheaper one matches in score, from the cheapest to the most accurate.

    Considers networks with published weights, a permissive licence, and a score on the most common benchmark.
    Raises UserError if there is none.
    """
    able = [record for record in networks
            if record.task == task.name and not record.zoo and (record.annotation or task.annotation) == annotation
            and record.weights and record.licence.startswith(PERMISSIVE)
            and record.score is not None]
    if not able:
        raise UserError(f"tuner=auto finds no network for {task.name} that learns from {annotation} and has published "
                        "weights, a permissive licence and a published score", hint="type tuner=manual network=NAME")
    benchmarks = Counter(_score(record).benchmark for record in able)
    benchmark = min(benchmarks, key=lambda name: (-benchmarks[name], name))
    able = [record for record in able if _score(record).benchmark == benchmark]
    count_operations = all(record.gflops is not None for record in able)

    def cost(record: NetworkRecord) -> float:
        return record.gflops if count_operations and record.gflops is not None else record.parameters

    least = 100 - MOST_ERROR * (100 - max(_score(record).value for record in able))
    found: list[NetworkRecord] = []
    for record in sorted(able, key=lambda record: (cost(record), -_score(record).value, record.name)):
        value = _score(record).value
        if value >= least and (not found or value > _score(found[-1]).value):
            found.append(record)
    return found


def _score(record: NetworkRecord) -> Score:
    assert record.score is not None  # else it is none to choose from
    return record.score


def _describe(record: NetworkRecord) -> str:
    operations, score = "" if record.gflops is None else f"{record.gflops:.2g} GFLOPs, ", _score(record)
    return (f"{operations}{record.parameters / 1e6:.3g} M parameters, {score.metric} {score.value:.3g} "
            f"on {score.dataset}")


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


def _pictures(config: Config, data: DatasetStatistics) -> Iterator[RecommendedValue]:
    """Augmentation, and the window of CT."""
    kind = config.preference.image_type
    flip = config.augment.horizontal_flip
    if kind in SIDED:
        yield RecommendedValue("augment.horizontal_flip", False, f"{kind}: left and right sides of the body differ")
        if data.annotation == "labels":
            yield RecommendedValue("augment.resized_crop", False, f"{kind}: a crop can cut off the finding that "
                                                                  "the label names")
    elif kind == "fundus":
        yield RecommendedValue("augment.horizontal_flip", True, "fundus: a mirrored left eye looks like a right eye")
    else:
        yield RecommendedValue("augment.horizontal_flip", flip, f"other: the default of {config.task.name}")
    if data.monochrome:
        for key in ("saturation", "hue"):
            yield RecommendedValue(f"augment.color_jitter.{key}", 0.0, "the images are monochrome")
    if kind == "ct" and data.modalities == ("CT",) and not config.image.windows:
        yield RecommendedValue("image.windows", [SOFT_TISSUE], "CT without image.windows: the window of soft tissue "
                                                               "for all images")


def _contradictions(kind: str, data: DatasetStatistics) -> Iterator[str]:
    for modality in data.modalities:
        known = next((name for name, codes in MODALITIES.items() if modality in codes), kind)
        if known != kind:
            yield (f"preference.image_type={kind}, but there are DICOM images of the modality {modality}: use "
                   f"preference.image_type={known} for these")


def _hyper(config: Config, data: DatasetStatistics, size: int, tile: int | None) -> Iterator[RecommendedValue]:
    images = data.train_images * (1 if tile is None else math.ceil(data.side / tile) ** 2)
    shown = f"{images} training images" + (" or about as many tiles" if tile else "")
    batch, batch_reason = _batch_size(config, images, shown, size)
    per_step = batch * config.trainer.gradient_accumulation
    steps = math.ceil(images / per_step)
    epochs = min(max(LEAST_EPOCHS, math.ceil(STEPS / steps)), config.limits.epochs)
    yield RecommendedValue("hyper.batch_size", batch, batch_reason)
    yield RecommendedValue("hyper.epochs", epochs, f"{shown} are {steps} steps per epoch; {STEPS} steps, at least "
                                                   f"{LEAST_EPOCHS} and at most limits.epochs={config.limits.epochs} "
                                                   "epochs")
    yield RecommendedValue("hyper.optimizer", "adamw", "works for convolutional networks and transformers")
    yield RecommendedValue("hyper.learning_rate", float(f"{RATE * math.sqrt(per_step / RATE_BATCH):.2g}"),
                   f"{RATE:g} for {RATE_BATCH} images per step, scaled with the square root of their number")
    yield RecommendedValue("hyper.weight_decay", 0.001, "small, to stay close to the pretrained weights")
    yield RecommendedValue("hyper.momentum", 0.9, "AdamW's default beta1")
    yield RecommendedValue("hyper.schedule", "cosine", "ends with small steps for any number of epochs")
    yield RecommendedValue("hyper.warmup_epochs", min(5.0, epochs / 20), "a twentieth: protects the backbone from the "
                                                                         "new head")
    yield RecommendedValue("hyper.clip_grad_norm", 1.0, "limits the effect of a single bad batch")
    yield RecommendedValue("hyper.ema_decay", 0.99,
                           "the mean of about 100 steps; single ones are noisy with few images")
    (frequent, most), (rare, fewest) = data.frequent, data.rare
    unequal = most > IMBALANCE * fewest
    yield RecommendedValue("hyper.class_balance", "sampling" if unequal else "none",
                   f"training images of the most frequent class, {frequent}: {most}, of the rarest, {rare}: {fewest}; "
                   + ("rare classes are oversampled" if unequal else "balanced enough"))


def _batch_size(config: Config, images: int, shown: str, size: int) -> tuple[int, str]:
    """The task's default, halved for few images and for large ones."""
    own = batch = min(config.hyper.batch_size, config.limits.batch_size)
    reasons = []
    while batch > 2 and images < LEAST_STEPS * batch:
        batch //= 2
    if batch < own:
        reasons.append(f"{shown}: an epoch should have {LEAST_STEPS} steps")
    fitting = batch
    while batch > 2 and batch * size**2 > MOST_PIXELS:
        batch //= 2
    if batch < fitting:
        reasons.append(f"reduced for memory at {size} px")
    return batch, " and ".join(reasons) or f"the default of {config.task.name}"


def _space(decisions: Iterable[RecommendedValue]) -> Iterator[SearchRange]:
    """Search ranges around ``decisions``; they contain the recommended values."""
    chosen = {item.key: item.value for item in decisions}
    adaptive = chosen["hyper.optimizer"] != "sgd"
    usual = "the range of population based training"
    for key, (low, high), reason in (
        ("hyper.learning_rate", (PBT_RATE[0], ADAM_RATE) if adaptive else PBT_RATE,
         f"{chosen['hyper.optimizer']}: its step size does not depend on the gradient's" if adaptive else usual),
        ("hyper.weight_decay", PBT_DECAY, usual), ("hyper.momentum", PBT_MOMENTUM, usual),
    ):
        low, high = min(low, chosen[key]), max(high, chosen[key])
        yield SearchRange(key, low, high, log=key != "hyper.momentum" and low > 0, reason=reason)
