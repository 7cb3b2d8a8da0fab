"""The report's sections on a classifier: per-class table, confusion, ROC and PR curves, worst errors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as sklearn_metrics

from sightsmith.core.dataset import Sample
from sightsmith.core.images import read_image
from sightsmith.core.schema import Config
from sightsmith.core.task import Outcome, Section
from sightsmith.plugins.classification.metrics import Array, compute, predictions, scores_and_truth

DRAWN_CLASSES = 12
SHOWN_ERRORS = 12


def sections(outcomes: Sequence[Outcome], samples: Sequence[Sample], classes: Sequence[str], multi_label: bool,
             config: Config) -> list[Section]:
    """In the order of the page. ``outcomes`` and ``samples`` are those of the validation part, in step."""
    scores, truth = scores_and_truth(outcomes, multi_label)
    predicted = predictions(scores, multi_label)
    parts = [_per_class(outcomes, truth, predicted, classes, multi_label)]
    if not multi_label and len(classes) <= 40:
        parts.append(_confusion(truth, predicted, classes))
    parts += [_curves(scores, truth, classes), _errors(outcomes, samples, scores, truth, classes, multi_label, config)]
    return parts


def _per_class(outcomes: Sequence[Outcome], truth: Array, predicted: Array, classes: Sequence[str],
               multi_label: bool) -> Section:
    figures = compute(outcomes, classes, multi_label)
    rows = []
    for number, name in enumerate(classes):
        real, said = truth[:, number], predicted[:, number]
        hits, false = int((real & said).sum()), int(((1 - real) & said).sum())
        missed, rest = int((real & (1 - said)).sum()), int(((1 - real) & (1 - said)).sum())
        specificity = rest / (rest + false) if rest + false else None
        odds = hits * rest / (false * missed) if false and missed else None
        rows.append((name, int(real.sum()), *(_text(figures[f"{key}/{name}"]) for key in ("precision", "recall")),
                     _text(specificity), _text((hits + rest) / len(real)),
                     *(_text(figures[f"{key}/{name}"]) for key in ("f1", "auc")), hits, false, missed, rest,
                     _text(odds)))
    header = ("class", "positives", "precision", "recall", "specificity", "accuracy", "F1", "AUC", "TP", "FP", "FN",
              "TN", "odds ratio")
    note = ("<p class='soft'>On the validation part, best checkpoint. Undefined: no positives (recall, F1, AUC), "
            "nothing predicted (precision), no false positive or no miss (odds ratio).</p>")
    return Section("Per class", html=note, header=header, rows=tuple(rows), name="per-class")


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _plain(text: str) -> str:
    """A class name as matplotlib is to draw it: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def _confusion(truth: Array, predicted: Array, classes: Sequence[str]) -> Section:
    matrix = sklearn_metrics.confusion_matrix(truth.argmax(1), predicted.argmax(1), labels=range(len(classes)))
    side = min(2.4 + 0.42 * len(classes), 11)
    plot = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = plot.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(len(classes)), yticks=range(len(classes)), xlabel="predicted", ylabel="true")
    names = [_plain(name) for name in classes]
    axes.set_xticklabels(names, rotation=45, ha="right")
    axes.set_yticklabels(names)
    for (row, column), count in np.ndenumerate(matrix):
        if count and len(classes) <= 20:
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8,
                      color="white" if shares[row, column] > 0.5 else "black")
    return Section("Confusion matrix", figures=(plot,), name="confusion-matrix", header=("true", *classes),
                   rows=tuple((name, *map(int, row)) for name, row in zip(classes, matrix, strict=True)))


def _curves(scores: Array, truth: Array, classes: Sequence[str]) -> Section:
    plot = Figure(figsize=(10, 4.2), layout="constrained")
    roc, precision_recall = plot.subplots(1, 2)
    drawn, left_out = 0, []
    for number, name in enumerate(classes):
        real = truth[:, number]
        if not (0 < real.sum() < len(real) and np.isfinite(scores).all()):
            left_out.append(name)
        elif drawn < DRAWN_CLASSES:
            drawn += 1
            false, hit, _ = sklearn_metrics.roc_curve(real, scores[:, number])
            roc.plot(false, hit, label=f"{_plain(name)}  {sklearn_metrics.auc(false, hit):.3f}")
            precision, recall, _ = sklearn_metrics.precision_recall_curve(real, scores[:, number])
            average = sklearn_metrics.average_precision_score(real, scores[:, number])
            precision_recall.plot(recall, precision, label=f"{_plain(name)}  {average:.3f}")
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    roc.set(title="ROC (AUC)", xlabel="1 - specificity", ylabel="recall")
    precision_recall.set(title="Precision and recall (average precision)", xlabel="recall", ylabel="precision",
                         ylim=(0, 1.02))
    for axes in (roc, precision_recall):
        axes.grid(alpha=0.25)
        if drawn:
            axes.legend(fontsize=8)
    notes = []
    if left_out:
        notes.append(f"Undefined without both positives and negatives: {', '.join(left_out)}.")
    if drawn == DRAWN_CLASSES < len(classes) - len(left_out):
        notes.append(f"The first {DRAWN_CLASSES} classes are drawn.")
    return Section("ROC and precision-recall", figures=(plot,), name="roc-pr",
                   html=f"<p class='soft'>{escape(' '.join(notes))}</p>" if notes else "")


def _errors(outcomes: Sequence[Outcome], samples: Sequence[Sample], scores: Array, truth: Array,
            classes: Sequence[str], multi_label: bool, config: Config) -> Section:
    """The images of which the model is most sure, and wrong."""
    wrong: list[tuple[float, int, str]] = []
    for place in range(len(outcomes)):
        if multi_label:
            off = np.abs(scores[place] - truth[place])
            number = int(off.argmax())
            if off[number] >= 0.5:
                said = "without" if truth[place, number] else "with"
                wrong.append((float(off[number]), place, f"{said} {classes[number]}"))
        elif (number := int(scores[place].argmax())) != int(truth[place].argmax()):
            wrong.append((float(scores[place, number]), place, classes[number]))
    if not wrong:
        return Section("Most confident errors", html="<p>None: every validation image is right.</p>")
    wrong.sort(key=lambda item: (-item[0], item[1]))
    shown = wrong[:SHOWN_ERRORS]
    columns = min(len(shown), 6)
    plot = Figure(figsize=(1.9 * columns, 2.4 * -(-len(shown) // columns)), layout="constrained")
    grid: Any = plot.subplots(-(-len(shown) // columns), columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    rows = []
    for axes, (confidence, place, said) in zip(grid.flat, shown, strict=False):
        sample = samples[place]
        real = ", ".join(sample.labels) or "none"
        image = read_image(sample.path, sample.frame, windows=config.image.windows[:1], value_range=config.image.range)
        axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray",
                    vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
        axes.set_title(_plain(f"is {real}\nsaid {said} {100 * confidence:.0f} %"), fontsize=8)
        rows.append((sample.key, real, said, f"{confidence:.3f}"))
    note = f"<p class='soft'>{len(wrong)} of {len(outcomes)} images are wrong.</p>"
    return Section("Most confident errors", html=note,
                   figures=(plot,), header=("image", "is", "said", "confidence"), rows=tuple(rows), name="errors")
