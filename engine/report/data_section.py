"""The report's section on the objects that a data set shows: how many, how large, of which shape, on either side."""

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

BINS = 20


def about_objects(dataset: CheckedDataset) -> list[Section]:
    """Nothing for a data set of labels alone."""
    if dataset.coverage and not any(sample.objects for sample in (*dataset.train, *dataset.validation)):
        parts = tuple((name, f"{100 * part:.2f} %") for name, part in dataset.coverage.items())
        return [Section("Mask coverage", header=("class", "of all pixels"), rows=parts, name="mask-coverage")]
    sides = {"training": dataset.train, "validation": dataset.validation}
    found = {side: _measured(samples, dataset.infos) for side, samples in sides.items()}
    if not any(values["objects an image"] for values in found.values()) or not any(
            values["sides' ratio"] for values in found.values()):
        return []
    names = list(found["training"])
    plot = Figure(figsize=(3.6 * len(names), 3.2), layout="constrained")
    for axes, name in zip(plot.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _histogram(axes, name, {side: values[name] for side, values in found.items()})
    rows = [(name, _spread(found["training"][name]), _spread(found["validation"][name])) for name in names]
    rows += [(f"mask coverage, {name}", f"{100 * part:.2f} % of all pixels", "")
             for name, part in dataset.coverage.items()]
    return [Section("Objects", figures=(plot,), name="objects", rows=tuple(rows),
                    header=("median (10 % to 90 %)", *sides),
                    html="<p class='soft'>Of the objects that are learnt. A side that differs much from the other "
                         "makes a score that says little.</p>")]


def _measured(samples: Sequence[Sample], infos: Mapping[str, ImageInfo]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"objects an image": [], "box, % of the image": [], "sides' ratio": []}
    for sample in samples:
        info = infos[sample.name]
        boxes = [item.box for item in sample.objects if _counts(item)]
        found["objects an image"].append(len(boxes))
        for left, top, right, bottom in boxes:
            width, height = right - left, bottom - top
            found["box, % of the image"].append(100 * width * height / (info.width * info.height))
            found["sides' ratio"].append(width / height)
    return found


def _counts(item: Object) -> bool:
    left, top, right, bottom = item.box
    return not item.crowd and right > left and bottom > top


def _histogram(axes: Any, name: str, sides: Mapping[str, Sequence[float]]) -> None:
    values = [value for side in sides.values() for value in side]
    low, high = min(values), max(values)
    logarithmic = name != "objects an image" and high > 20 * max(low, 1e-6)
    edges = np.geomspace(max(low, 1e-6), high * 1.001, BINS) if logarithmic else np.linspace(low, high + 1e-6, BINS)
    for side, found in sides.items():
        if found:
            axes.hist(found, edges, weights=np.full(len(found), 1 / len(found)), histtype="step", label=side)
    axes.set(title=name, ylabel="part", xscale="log" if logarithmic else "linear")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "undefined: no object"
    low, high = np.percentile(values, [10, 90])
    return f"{statistics.median(values):.3g} ({low:.3g} to {high:.3g})"
