"""The learning curves of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import listed

EARLY = 0.2
"""The share of the epochs that is early."""
FLATTENS = 5.0
"""An early epoch is cut off if its loss needs so many times the height of all later ones."""
SIZE = (4.6, 3.3)
"""Of a plot, inches."""
LOSSES = {"train_loss": "training", "loss": "validation"}


def learning_curves(task: Task, history: Sequence[Mapping[str, Any]], best_epoch: int,
                    baseline: tuple[str, float] | None) -> Section:
    """The section of losses and score by epoch; ``baseline`` is a constant answer and its score."""
    epochs = [entry["epoch"] for entry in history]
    plots = [Figure(figsize=SIZE, layout="constrained") for _ in range(2)]
    loss, score = (cast(Any, plot.subplots()) for plot in plots)
    for key, label in LOSSES.items():
        loss.plot(epochs, [entry.get(key) for entry in history], marker=".", label=label)
    loss.set(xlabel="epoch", ylabel="loss", title="loss")
    limits, note = cut_off(history)
    if limits is not None:
        loss.set_ylim(limits)
    name = task.score.replace("_", " ")
    score.plot(epochs, [entry.get(task.score) for entry in history], marker=".", color="tab:green", label="validation")
    if baseline is not None:
        score.axhline(baseline[1], color="grey", linestyle="--", label=baseline[0])
    score.set(xlabel="epoch", ylabel=name, title=name)
    for axes in (loss, score):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.axvline(best_epoch, color="black", linewidth=0.8, alpha=0.4, label="best epoch")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    names = [name for name in history[0] if name not in ("epoch", "seconds") and "/" not in name] if history else []
    rows = tuple((entry["epoch"], *(entry.get(name) for name in names)) for entry in history)
    return Section("Training", note=note, header=("epoch", *names), rows=rows, figures=tuple(plots),
                   name="training", sources=("../metrics.jsonl", "../train.log"))


def cut_off(history: Sequence[Mapping[str, Any]]) -> tuple[tuple[float, float] | None, str]:
    """Where the axis of the loss begins and ends, if a few early losses would flatten all others, and the sentence that
    names them."""
    losses = [(place, label, float(entry[key])) for place, entry in enumerate(history)
              for key, label in LOSSES.items() if entry.get(key) is not None and math.isfinite(entry[key])]
    low = min((value for *_, value in losses), default=0.0)
    highest = [max((value for at, _, value in losses if at == place), default=low)
               for place in range(len(history))]
    for early in range(1, math.ceil(EARLY * len(history)) + 1):
        height = max((value for place, _, value in losses if place >= early), default=low) - low
        if 0 < FLATTENS * height < min(highest[:early]) - low:
            top = low + 1.1 * height
            above = [f"the {label} loss {value:.4g} of epoch {history[place]['epoch']}"
                     for place, label, value in losses if value > top]
            note = f"The plot of the loss is cut off at {top:.3g}; above it: {listed(above)}."
            return (low - 0.1 * height, top), note
    return None, ""
