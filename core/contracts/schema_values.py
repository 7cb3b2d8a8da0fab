"""Validation of configuration values: ranges, choices and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import Field
from typing import Any

from sightsmith.core.contracts.keys import walk
from sightsmith.core.contracts.schema import AUTO, MAX_CHANNELS, Config, ImageConfig
from sightsmith.core.util.errors import Problem, near


def range_problems(entries: Iterable[tuple[str, Field[Any], Any]]) -> Iterator[Problem]:
    """Values of ``(key, field, value)`` out of the field's range or choices."""
    for key, entry, value in entries:
        meta = entry.metadata
        if value is None or isinstance(value, (dict, list)):
            continue
        choices = meta.get("choices") or ()
        if choices and value not in choices:
            yield Problem(f"{key}={value} is not one of {', '.join(choices)}.{near(str(value), choices)}")
        low, high = meta.get("low"), meta.get("high")
        if low is not None and not low <= value or high is not None and not value <= high:
            span = f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
            yield Problem(f"{key}={value:g} is out of range: {span} (default {entry.default})")


def check_values(config: Config) -> list[Problem]:
    """Problems for all invalid values, with the valid range and the default."""
    problems = [*range_problems(walk(config))]
    to_choose = config.tuner.name == AUTO and config.flow == "general"  # these keys, within the limits
    for key in () if to_choose else ("batch_size", "epochs"):
        value, limit = getattr(config.hyper, key), getattr(config.limits, key)
        if value > limit:
            problems.append(Problem(f"hyper.{key}={value} is above the limit of {limit}",
                                    hint=f"to raise the limit, type limits.{key}={value}"))
    problems += _check_shapes(config)
    return problems


def _check_shapes(config: Config) -> Iterator[Problem]:
    if config.network.weights == "imagenet":
        yield Problem("network.weights=imagenet is not a file", hint="type network.weights=backbone or published")
    if len(config.name) > 100:
        yield Problem(f"name has {len(config.name)} characters; at most 100")
    for window in config.image.windows:
        if not _numbers(window, 2) or window[1] <= 0:
            yield Problem(f"image.windows: {window} is not [centre, width] with a width above 0",
                          hint="for example 'image.windows=[[40,80],[80,200]]'")
    span = config.image.range
    if span is not None and not (_numbers(span, 2) and span[0] < span[1]):
        yield Problem(f"image.range={span} is not [low, high] with low below high")
    yield from _check_channels(config.image)
    for key in ("devices", "num_workers", "micro_batch"):
        value = getattr(config.trainer, key)
        smallest = 0 if key == "num_workers" else 1
        if value != "auto" and not (value.isdigit() and int(value) >= smallest):
            yield Problem(f"trainer.{key}={value} is neither auto nor a whole number from {smallest}")
    folds = config.dataset.folds
    if folds not in ("none", "auto") and not (folds.isdigit() and int(folds) >= 2):
        yield Problem(f"dataset.folds={folds} is neither none, auto nor a whole number from 2")
    refit = config.dataset.refit.lower()  # Hydra makes text of a boolean
    if refit not in ("auto", "true", "false"):
        yield Problem(f"dataset.refit={refit} is none of auto, true and false")
    uses = {f"ensemble={config.ensemble}": config.ensemble != "none", "dataset.refit=true": refit == "true"}
    if all(uses.values()):
        yield Problem(f"{' and '.join(uses)} both decide which model is kept: choose one")
    if folds == "none" and (using := [key for key, used in uses.items() if used]):
        yield Problem(f"{' and '.join(using)}: there are no folds", hint="type dataset.folds=5, or leave it out")
    if folds == "none" and config.dataset.repeats > 1:
        yield Problem(f"dataset.repeats={config.dataset.repeats} has no effect without folds",
                      hint="type dataset.folds=5, or leave dataset.repeats out")


def _check_channels(image: ImageConfig) -> Iterator[Problem]:
    chosen = image.channels
    if chosen != AUTO and not (chosen.isdecimal() and 2 <= int(chosen) <= MAX_CHANNELS):
        yield Problem(f"image.channels={chosen} is neither auto nor a whole number from 2 to {MAX_CHANNELS}; grey "
                      "images fill three channels")
        return
    channels = image.input_channels
    if len(image.windows) > 1 and chosen not in (AUTO, str(channels)):
        yield Problem(f"image.channels={chosen}: image.windows makes {channels} channels", hint="leave one of them out")
    if image.rgb and (channels < 3 or len(image.windows) > 1):
        yield Problem("image.rgb=true: the channels are " + ("DICOM windows" if image.windows else f"only {channels}"))
    # How many bands the images have is only known when they have been read.
    known = chosen != AUTO or len(image.windows) > 1
    for key in ("mean", "std"):
        values = getattr(image, key)
        if values is None:
            continue
        count = channels if known or not isinstance(values, (list, tuple)) else max(len(values), 2)
        if not _numbers(values, count) or key == "std" and min(values) <= 0:
            yield Problem(f"image.{key}={values} is not a list of {count if known else 3} numbers, one per channel"
                          + (", above 0" if key == "std" else ""))


def _numbers(value: Any, count: int) -> bool:
    return (isinstance(value, (list, tuple)) and len(value) == count
            and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value))
