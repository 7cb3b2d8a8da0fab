"""The report's section about annotated objects: their number, size and aspect ratio in each split."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.contracts.report import Section
from sightsmith.core.util.text import counted

BINS = 20


def about_objects(dataset: CheckedDataset) -> list[Section]:
    """The section; empty for a data set with labels only."""
    if dataset.coverage and not any(sample.objects for sample in (*dataset.train, *dataset.validation)):
        parts = tuple((name, f"{100 * part:.2f} %") for name, part in dataset.coverage.items())
        return [Section("Mask coverage", header=("class", "share of all pixels"), rows=parts, name="mask-coverage")]
    splits = {"training": dataset.train, "validation": dataset.validation}
    found = {split: _measured(samples, dataset.infos) for split, samples in splits.items()}
    if not any(values["objects per image"] for values in found.values()) or not any(
            values["aspect ratio"] for values in found.values()):
        return []
    names = list(found["training"])
    plots = [_histogram(name, {split: values[name] for split, values in found.items()}) for name in names]
    rows = [(name, _spread(found["training"][name]), _spread(found["validation"][name])) for name in names]
    numbers = {split: int(sum(values["objects per image"])) for split, values in found.items()}
    counts = " and ".join(f"{counted(number, 'object')} in {counted(len(splits[split]), f'{split} image')}"
                          for split, number in numbers.items())
    rows += [(f"mask coverage, {name}", f"{100 * part:.2f} % of all pixels", "")
             for name, part in dataset.coverage.items()]
    return [Section("Objects", figures=tuple(plots), name="objects", rows=tuple(rows),
                    header=("median (10 % to 90 %)", *splits),
                    note=f"{counts}. If the splits differ much, the score means little.")]


def _measured(samples: Sequence[Sample], infos: Mapping[str, ImageInfo]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"objects per image": [], "box, % of the image": [], "aspect ratio": []}
    for sample in samples:
        info = infos[sample.name]
        boxes = [item.box for item in sample.objects if _counts(item)]
        found["objects per image"].append(len(boxes))
        for left, top, right, bottom in boxes:
            width, height = right - left, bottom - top
            found["box, % of the image"].append(100 * width * height / (info.width * info.height))
            found["aspect ratio"].append(width / height)
    return found


def _counts(item: Object) -> bool:
    left, top, right, bottom = item.box
    return not item.crowd and right > left and bottom > top


def _histogram(name: str, splits: Mapping[str, Sequence[float]]) -> Figure:
    plot = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes: Any = plot.subplots()
    values = [value for found in splits.values() for value in found]
    low, high = min(values), max(values)
    logarithmic = name != "objects per image" and high > 20 * max(low, 1e-6)
    edges = np.geomspace(max(low, 1e-6), high * 1.001, BINS) if logarithmic else np.linspace(low, high + 1e-6, BINS)
    for split, found in splits.items():
        if found:
            axes.hist(found, edges, weights=np.full(len(found), 1 / len(found)), histtype="step", label=split)
    axes.set(title=name, ylabel="share", xscale="log" if logarithmic else "linear")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    return plot


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "undefined: no objects"
    low, high = np.percentile(values, [10, 90])
    return f"{statistics.median(values):.3g} ({low:.3g} to {high:.3g})"
