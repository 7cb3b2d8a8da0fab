"""``recipe=published``: how the authors of a zoo's network trained it, read from its configuration."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from sightsmith.plugin import Config, DatasetStatistics, NetworkRecord, Recommendation, RecommendedValue, TaskRecord
from sightsmith.plugins.openmmlab import zoo

Node = dict[str, Any]

OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}
SCHEDULES = {"CosineAnnealingLR": "cosine", "MultiStepLR": "step", "StepLR": "step", "PolyLR": "cosine",
             "ConstantLR": "constant"}
WARM_UPS = ("LinearLR", "QuadraticWarmupLR")
COLOURS: dict[str, Node] = {
    "PhotoMetricDistortion": {"brightness": 0.125, "contrast": 0.5, "saturation": 0.5, "hue": 0.1},
    "YOLOXHSVRandomAug": {"brightness": 0.12, "saturation": 0.12, "hue": 0.03},
}
"""The usual ranges of these transforms in the units of ``augment.color_jitter``: 32 of 255 grey levels, factors of 0.5
to 1.5 and 18 of 180 degrees; 30 of 255 for value and saturation and 5 of 180 degrees."""

PLUMBING = re.compile(r"Load|Pack|Resize$|Pad$|FilterAnnotations|GenerateEdge|Collect|Format")
"""Transforms that are no augmentation, or that every network here has anyway."""

MOST_WEIGHT_DECAY = 0.1
"""The largest ``hyper.weight_decay``."""


def mmdet(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
          fixed: Collection[str]) -> Recommendation:
    """The recipe of mmdet's configuration."""
    return _published("mmdet", config, network, data, fixed)


def mmseg(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
          fixed: Collection[str]) -> Recommendation:
    """The recipe of mmsegmentation's configuration."""
    return _published("mmseg", config, network, data, fixed)


def _published(package: str, config: Config, network: NetworkRecord, data: DatasetStatistics,
               fixed: Collection[str]) -> Recommendation:
    name = str(config.network.config or network.options.get("config"))
    theirs = zoo.load(package, name)
    source = partial(RecommendedValue, reason=f"{package}'s {name}")
    images = _batch_images(name, theirs)
    wrapper = dict(theirs.get("optim_wrapper") or {})
    accumulated = int(wrapper.get("accumulative_counts") or 1)
    batch = config.hyper.batch_size if "hyper.batch_size" in fixed else min(images, config.limits.batch_size)
    steps = math.ceil(data.train_images / (batch * config.trainer.gradient_accumulation))
    epochs, epochs_reason = _epochs(theirs, steps, config.limits.epochs)
    epochs = config.hyper.epochs if "hyper.epochs" in fixed else epochs
    decisions = [source("hyper.batch_size", batch), RecommendedValue("hyper.epochs", epochs, epochs_reason)]
    lost: list[str] = []
    ratio = batch * config.trainer.gradient_accumulation / (images * accumulated)
    decisions += _optimizer(wrapper, ratio, source, lost)
    decisions += _schedule(theirs, steps, epochs, source, lost)
    decisions += _ema(theirs, source)
    decisions += _augmentation(theirs, source, lost)
    warnings = (f"not mapped from {package}'s {name}: {'; '.join(lost)}",) if lost else ()
    return Recommendation(tuple(decisions), warnings=warnings)


def _batch_images(name: str, theirs: Node) -> int:
    """The images of a step of all their devices, by the name (``8xb32``), the base of automatic scaling, or 8 GPUs."""
    if found := re.search(r"(\d+)xb(\d+)", name):
        return int(found[1]) * int(found[2])
    if base := (theirs.get("auto_scale_lr") or {}).get("base_batch_size"):
        return int(base)
    return 8 * int((theirs.get("train_dataloader") or {}).get("batch_size") or 1)


def _epochs(theirs: Node, steps: int, limit: int) -> tuple[int, str]:
    """Their epochs, or as many as their steps are, of ``steps`` each."""
    loop = theirs.get("train_cfg") or {}
    if "max_epochs" in loop:
        epochs, text = int(loop["max_epochs"]), f"{loop['max_epochs']} epochs"
    else:
        epochs, text = math.ceil(int(loop.get("max_iters", 1)) / steps), f"{loop.get('max_iters')} steps"
    return min(epochs, limit), f"theirs are {text}; at most limits.epochs={limit} epochs"


def _optimizer(wrapper: Node, ratio: float, source: Any, lost: list[str]) -> Iterator[RecommendedValue]:
    """Optimizer and its groups; the learning rate for steps of ``ratio`` times their images."""
    theirs, groups = dict(wrapper.get("optimizer") or {}), dict(wrapper.get("paramwise_cfg") or {})
    kind = str(theirs.get("type"))
    if kind not in OPTIMIZERS:
        lost.append(f"the optimizer {kind}")
        return
    keys = dict(groups.get("custom_keys") or {})
    head = float((keys.pop("head", None) or {}).get("lr_mult", 1.0))
    backbone = float((keys.pop("backbone", None) or {}).get("lr_mult", 1.0)) / head
    rate = head * float(theirs.get("lr", 0.001)) * ratio
    yield source("hyper.optimizer", OPTIMIZERS[kind])
    yield RecommendedValue("hyper.learning_rate", min(max(float(f"{rate:.3g}"), 1e-6), 1.0),
                           f"{theirs.get('lr')}{f' times {head:g} for heads' * (head != 1)}, scaled to steps of "
                           f"{ratio:.3g} times their images")
    yield source("hyper.backbone_lr_scale", float(f"{min(backbone, 1.0):.3g}"))
    yield source("hyper.momentum", float(theirs.get("momentum", (theirs.get("betas") or (0.9,))[0])))
    yield source("hyper.weight_decay", min(float(theirs.get("weight_decay", 0.0)), MOST_WEIGHT_DECAY))
    if "decay_rate" in groups:
        yield source("hyper.layer_decay", float(groups["decay_rate"]))
    clip = (wrapper.get("clip_grad") or {}).get("max_norm")
    yield source("hyper.clip_grad_norm", None if clip is None else float(clip))
    lost += (f"a learning rate of its own for {key}" for key, value in keys.items()
             if "." not in key and float(value.get("lr_mult", 1.0)) not in (1.0, backbone * head))
    if theirs.get("nesterov"):
        lost.append("Nesterov momentum")
    if groups.get("bias_lr_mult", 1.0) != 1.0:
        lost.append(f"biases at {groups['bias_lr_mult']:g} times the learning rate")
    if groups.get("norm_decay_mult") != 0 and not any("norm" in key for key in keys):
        lost.append("weight decay of normalization and biases, which do not decay here")


def _schedule(theirs: Node, steps: int, epochs: int, source: Any, lost: list[str]) -> Iterator[RecommendedValue]:
    parts = theirs.get("param_scheduler") or []
    parts = [dict(part) for part in (parts if isinstance(parts, (list, tuple)) else [parts])]
    whole = (theirs.get("train_cfg") or {}).get("max_epochs")
    warm = next((part for part in parts if str(part["type"]).rpartition(".")[2] in WARM_UPS), None)
    length = 0.0
    if warm is not None:
        ends = warm.get("end", 0)
        length = ends * epochs / whole if warm.get("by_epoch", True) and whole else ends / steps
    yield source("hyper.warmup_epochs", float(f"{min(length, epochs / 10, 50.0):.3g}"))
    others = [part for part in parts if part is not warm]
    main = next((part for part in others if str(part["type"]).rpartition(".")[2] in SCHEDULES), None)
    if main is None:
        lost += (f"the schedule {part['type']}" for part in others)
        yield source("hyper.schedule", "constant")
        return
    kind = str(main["type"]).rpartition(".")[2]
    yield source("hyper.schedule", SCHEDULES[kind])
    if SCHEDULES[kind] == "step":
        milestones = main.get("milestones") or [main.get("step_size", 1)]
        yield source("hyper.lr_step_size", max(round(milestones[0] * epochs / (whole or epochs)), 1))
        yield source("hyper.lr_gamma", float(main.get("gamma", 0.1)))
        lost += [f"decays after {milestones} of {whole} epochs: here after equal intervals"] * (len(milestones) > 1)
    elif kind == "PolyLR":
        lost.append(f"polynomial decay of power {main.get('power', 1):g}: here a cosine")
    elif kind == "CosineAnnealingLR" and whole and main.get("begin", 0) > whole / 10:
        lost.append(f"a constant learning rate until epoch {main['begin']} of {whole}: here a cosine from the start")


def _ema(theirs: Node, source: Any) -> Iterator[RecommendedValue]:
    for hook in theirs.get("custom_hooks") or []:
        if str(hook.get("type")).endswith("EMAHook"):
            yield source("hyper.ema_decay", min(1 - float(hook.get("momentum", 0.0002)), 0.99999))


def _augmentation(theirs: Node, source: Any, lost: list[str]) -> Iterator[RecommendedValue]:
    """Flips and colours; the names of all other augmentations go to ``lost``."""
    steps = {str(step["type"]).rpartition(".")[2]: step for step in theirs.get("train_pipeline") or []}
    flip = steps.pop("RandomFlip", None)
    yield source("augment.horizontal_flip", flip is not None)
    for key in ("resized_crop", "rotation", "translation"):
        yield source(f"augment.{key}", False if key == "resized_crop" else 0.0)
    for name in COLOURS.keys() & steps.keys():
        for key, value in COLOURS[name].items():
            yield source(f"augment.color_jitter.{key}", value)
        del steps[name]
    if others := [name for name in steps if not PLUMBING.search(name)]:
        lost.append(f"augmentation by {', '.join(others)}")
