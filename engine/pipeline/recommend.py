"""``tuner=auto``: recommends network, input, augmentation and hyperparameters from preferences, scores and data.

Everything here is a pure function: the same data and preferences give the same recommendation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from sightsmith.core.contracts.annotation import Annotation
from sightsmith.core.contracts.keys import walk
from sightsmith.core.contracts.network_record import NetworkRecord, Score
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue, SearchRange, owned
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.default_recipe import default_recipe

STOPS = 5
PERMISSIVE = ("Apache-2.0", "BSD-", "MIT")
"""Prefixes of the licences under which networks are recommended."""

MOST_ERROR = 2.0
"""Networks with more than this many times the published error of the best one are not considered."""

MODALITIES = {"ct": ("CT",), "mri": ("MR",), "fundus": ("OP",),
              "xray": ("CR", "DX", "IO", "MG", "PX", "RF", "RG", "XA")}
"""DICOM modality codes by ``preference.image_type``: PS3.3 C.7.3.1.1.1."""

SOFT_TISSUE = [40, 400]
"""Centre and width in Hounsfield units."""

SIDED = ("ct", "mri", "xray")

PBT_RATE, PBT_DECAY, PBT_MOMENTUM = (1e-5, 0.1), (5e-6, 0.002), (0.8, 0.99)
"""The full search ranges; a recommended range is a part of them, extended only to contain the recommended value."""

ADAM_RATE = 3e-3


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
        *_pictures(config, data)]
    known = {item.key for item in decisions}
    decisions += (item for item in default_recipe(Recommendation(tuple(decisions)).applied(config), task, network, data,
                                                  known).decisions if owned(item.key) and item.key not in known)
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
    if kind == "ct" and (data.modalities == ("CT",) or data.volumes) and not config.image.windows:
        yield RecommendedValue("image.windows", [SOFT_TISSUE], "CT without image.windows: the window of soft tissue "
                                                               "for all images")


def _contradictions(kind: str, data: DatasetStatistics) -> Iterator[str]:
    for modality in data.modalities:
        known = next((name for name, codes in MODALITIES.items() if modality in codes), kind)
        if known != kind:
            yield (f"preference.image_type={kind}, but there are DICOM images of the modality {modality}: use "
                   f"preference.image_type={known} for these")


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
