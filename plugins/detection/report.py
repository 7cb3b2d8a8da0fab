"""The report's sections on a detector: average precision, precision-recall curves, the hardest images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sightsmith.core.dataset import Sample
from sightsmith.core.images import Array, read_image
from sightsmith.core.schema import Config
from sightsmith.core.task import Outcome, Section
from sightsmith.plugins.detection.metrics import SUMMARY, compute, evaluate, merged

DRAWN_CLASSES = 12
SHOWN_IMAGES = 12
SURE = 0.3
"""Predictions of this score and more are drawn."""


def sections(outcomes: Sequence[Outcome], samples: Sequence[Sample], classes: Sequence[str], with_masks: bool,
             config: Config) -> list[Section]:
    """In the order of the page. ``outcomes`` and ``samples`` are those of the validation part, in step."""
    figures = compute(outcomes, classes, with_masks)
    images = merged(outcomes)
    return [_summary(figures, with_masks), _per_class(images, figures, classes), _curves(images, classes, with_masks),
            _pictures(images, samples, classes, config)]


def _summary(figures: dict[str, float | None], with_masks: bool) -> Section:
    kinds = [("masks", ""), ("boxes", "box_")] if with_masks else [("boxes", "")]
    rows = tuple((name.replace("_", " "), *(_text(figures[f"{prefix}{name}"]) for _, prefix in kinds))
                 for name in SUMMARY)
    note = ("<p class='soft'>On the validation part, best checkpoint. AP: mean over IoU 0.50 to 0.95; AR n: recall "
            "with n predictions an image. Small is below 32², large from 96² pixels. Undefined: no such object.</p>")
    return Section("Average precision and recall", html=note, header=("", *(kind for kind, _ in kinds)), rows=rows,
                   name="average-precision")


def _per_class(images: Sequence[Outcome], figures: dict[str, float | None], classes: Sequence[str]) -> Section:
    rows = []
    for number, name in enumerate(classes):
        objects = sum(int(((image["truth"]["labels"] == number) & ~image["truth"]["crowd"]).sum()) for image in images)
        rows.append((name, objects, _text(figures[f"ap/{name}"]), _text(figures[f"ap50/{name}"])))
    return Section("Per class", header=("class", "objects", "AP", "AP50"), rows=tuple(rows), name="per-class")


def _curves(images: Sequence[Outcome], classes: Sequence[str], with_masks: bool) -> Section:
    evaluation = evaluate(images, classes, "segm" if with_masks else "bbox")
    plot = Figure(figsize=(9, 4), layout="constrained")
    for axes, (place, title) in zip(plot.subplots(1, 2), ((0, "IoU 0.50"), (5, "IoU 0.75")), strict=True):
        for number, name in enumerate(classes[:DRAWN_CLASSES]):
            precision = evaluation.eval["precision"][place, :, number, 0, 2]
            if (precision > -1).any():
                axes.plot(evaluation.params.recThrs, precision, label=f"{_plain(name)}  {precision.mean():.3f}")
        axes.set(title=f"{title} (average precision)", xlabel="recall", ylabel="precision", xlim=(0, 1.02),
                 ylim=(0, 1.02))
        axes.grid(alpha=0.25)
        if axes.lines:
            axes.legend(fontsize=8)
    return Section("Precision and recall", figures=(plot,), name="precision-recall")


def _pictures(images: Sequence[Outcome], samples: Sequence[Sample], classes: Sequence[str], config: Config) -> Section:
    """The images with the highest loss, with what is there and what was found."""
    by_image = {sample.image: sample for sample in samples}
    shown = sorted(images, key=lambda image: -image["loss"])[:SHOWN_IMAGES]
    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    plot = Figure(figsize=(2.7 * columns, 2.7 * rows), layout="constrained")
    grid: Any = plot.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image in zip(grid.flat, shown, strict=False):
        sample = by_image[image["truth"]["image"]]
        picture = read_image(sample.path, sample.frame, windows=config.image.windows[:1],
                             value_range=config.image.range)
        axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0,
                    vmax=255 if picture.dtype == np.uint8 else 1)
        sure = image["scores"] >= SURE
        _draw(axes, image["truth"]["boxes"], image["truth"]["labels"], classes, "tab:green")
        _draw(axes, image["boxes"][sure], image["labels"][sure], classes, "tab:red", image["scores"][sure])
        axes.set_title(_plain(sample.image), fontsize=7)
    note = (f"<p class='soft'>Those of the highest loss. Green: what is there; red: found with a score of {SURE:g} or "
            "more.</p>")
    return Section("Hardest images", html=note, figures=(plot,), name="hardest")


def _draw(axes: Any, boxes: Array, labels: Array, classes: Sequence[str], colour: str,
          scores: Array | None = None) -> None:
    for place, (left, top, right, bottom) in enumerate(boxes.tolist()):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=colour,
                                 linewidth=1))
        if scores is not None:
            axes.text(left, top, _plain(f"{classes[labels[place]]} {scores[place]:.2f}"), color=colour, fontsize=6,
                      va="bottom", clip_on=True)


def _plain(text: str) -> str:
    """matplotlib would read $...$ as mathematics."""
    return text.replace("$", r"\$")


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
