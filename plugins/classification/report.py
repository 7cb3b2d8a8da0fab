"""The report's sections on a classifier: per-class table, confusion, curves, calibration, what it finds, errors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as sklearn_metrics

from sightsmith.plugin import (
    SHOWN_THUMBNAILS,
    Config,
    Picture,
    Sample,
    Section,
    escape_dollars,
    format_metric,
    load_rgb,
)
from sightsmith.plugins.classification import metrics
from sightsmith.plugins.classification.metrics import (
    Array,
    ClassificationResult,
    compute,
    predictions,
    scores_and_truth,
)

DRAWN_CLASSES = 12
SHOWN_ERRORS = 12


def sections(results: Sequence[ClassificationResult], samples: Sequence[Sample], classes: Sequence[str],
             multi_label: bool, config: Config) -> list[Section]:
    """In the order of the page. ``results`` and ``samples`` are in step."""
    scores, truth = scores_and_truth(results, multi_label)
    predicted = predictions(scores, multi_label)
    parts = [_per_class(results, truth, predicted, classes, multi_label)]
    if not multi_label and len(classes) <= 40:
        parts.append(_confusion(truth, predicted, classes))
    parts += [_curves(scores, truth, classes), _calibration(scores, truth, multi_label),
              _found(samples, scores, truth, predicted, classes, config),
              _errors(results, samples, scores, truth, classes, multi_label, config)]
    if not multi_label:
        parts.append(_doubtful(samples, scores, truth, classes, config))
    return parts


def _per_class(results: Sequence[ClassificationResult], truth: Array, predicted: Array, classes: Sequence[str],
               multi_label: bool) -> Section:
    figures = compute(results, classes, multi_label)
    rows = []
    for number, name in enumerate(classes):
        real, said = truth[:, number], predicted[:, number]
        hits, false = int((real & said).sum()), int(((1 - real) & said).sum())
        missed, rest = int((real & (1 - said)).sum()), int(((1 - real) & (1 - said)).sum())
        specificity = rest / (rest + false) if rest + false else None
        odds = hits * rest / (false * missed) if false and missed else None
        rows.append((name, int(real.sum()), figures[f"precision/{name}"], figures[f"recall/{name}"], specificity,
                     (hits + rest) / len(real), figures[f"f1/{name}"], figures[f"auc/{name}"], hits, false, missed,
                     rest, odds))
    header = ("class", "positives", "precision", "recall", "specificity", "accuracy", "F1", "AUC", "TP", "FP", "FN",
              "TN", "odds ratio")
    note = ("<p class='soft'>Undefined: no positives (recall, F1, AUC), "
            "nothing predicted (precision), no false positive or no miss (odds ratio).</p>")
    return Section("Per class", html=note, header=header, rows=tuple(rows), name="per-class")


def _confusion(truth: Array, predicted: Array, classes: Sequence[str]) -> Section:
    matrix = sklearn_metrics.confusion_matrix(truth.argmax(1), predicted.argmax(1), labels=range(len(classes)))
    side = min(2.4 + 0.42 * len(classes), 11)
    plot = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = plot.subplots()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(len(classes)), yticks=range(len(classes)), xlabel="predicted", ylabel="true")
    names = [escape_dollars(name) for name in classes]
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
            roc.plot(false, hit, label=f"{escape_dollars(name)}  {sklearn_metrics.auc(false, hit):.3f}")
            precision, recall, _ = sklearn_metrics.precision_recall_curve(real, scores[:, number])
            average = sklearn_metrics.average_precision_score(real, scores[:, number])
            precision_recall.plot(recall, precision, label=f"{escape_dollars(name)}  {average:.3f}")
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


def _errors(results: Sequence[ClassificationResult], samples: Sequence[Sample], scores: Array, truth: Array,
            classes: Sequence[str], multi_label: bool, config: Config) -> Section:
    """The images of which the model is most sure, and wrong."""
    wrong: list[tuple[float, int, str]] = []
    for place in range(len(results)):
        if multi_label:
            off = np.abs(scores[place] - truth[place])
            number = int(off.argmax())
            if off[number] >= 0.5:
                said = "without" if truth[place, number] else "with"
                wrong.append((float(off[number]), place, f"{said} {classes[number]}"))
        elif (number := int(scores[place].argmax())) != int(truth[place].argmax()):
            wrong.append((float(scores[place, number]), place, classes[number]))
    if not wrong:
        return Section("Most confident errors", html="<p>None: every image is right.</p>")
    wrong.sort(key=lambda item: (-item[0], item[1]))
    pictures, rows = [], []
    for confidence, place, said in wrong[:SHOWN_ERRORS]:
        sample = samples[place]
        real = ", ".join(sample.labels) or "none"
        pictures.append(Picture(load_rgb(sample, config.image), f"is {real}\nsaid {said} {100 * confidence:.0f} %"))
        rows.append((sample.key, real, said, confidence))
    note = f"<p class='soft'>{len(wrong)} of {len(results)} images are wrong.</p>"
    return Section("Most confident errors", html=note, pictures=(("", tuple(pictures)),),
                   header=("image", "is", "said", "confidence"), rows=tuple(rows), name="errors")


def _calibration(scores: Array, truth: Array, multi_label: bool) -> Section:
    """Whether so many of the images of which the model is so sure are right."""
    found = metrics.calibration(scores, truth, multi_label)
    plot = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = plot.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    axes.plot([part.confidence for part in found.bins], [part.right for part in found.bins], marker="o")
    axes.set(xlabel="probability that the model gives", ylabel="part that is so", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.25)
    said = "each class's probability of yes" if multi_label else "the probability of the predicted class"
    note = (f"<p class='soft'>Of {said}, in bins of a tenth. Expected calibration error: "
            f"{format_metric(found.error)} (Guo et al. 2017; 0 is best).</p>")
    rows = tuple((f"{part.low:.1f} to {part.low + 0.1:.1f}", part.count, part.confidence, part.right)
                 for part in found.bins)
    return Section("Calibration", html=note, figures=(plot,), name="calibration", rows=rows,
                   header=("probability", "cases", "mean probability", "part that is so"))


def _found(samples: Sequence[Sample], scores: Array, truth: Array, predicted: Array, classes: Sequence[str],
           config: Config) -> Section:
    """Of each class the surest true and false positives, and the false negatives."""
    rows = []
    for number, name in enumerate(classes[:DRAWN_CLASSES]):
        real, said, score = truth[:, number] == 1, predicted[:, number] == 1, scores[:, number]
        for title, chosen, order in (("true positives", real & said, -score), ("false positives", ~real & said, -score),
                                     ("false negatives", real & ~said, score)):
            places = [place for place in np.argsort(order, kind="stable").tolist() if chosen[place]]
            pictures = tuple(Picture(load_rgb(samples[place], config.image), f"{score[place]:.2f}")
                             for place in places[:SHOWN_THUMBNAILS])
            if pictures:
                rows.append((f"{name}, {title}: {len(places)}", pictures))
    note = ("<p class='soft'>Each class with its probability: the surest true positives; false positives, images of "
            "other classes that are taken for it; false negatives, images of it that are not found.</p>")
    return Section("What is found", html=note, pictures=tuple(rows))


def _doubtful(samples: Sequence[Sample], scores: Array, truth: Array, classes: Sequence[str], config: Config,
              ) -> Section:
    """Images whose label may be wrong."""
    title = "Suspected label errors"
    places = metrics.doubtful(scores, truth)
    if not places:
        return Section(title, html="<p>None: no image looks as typical of another class as that class's own.</p>")
    pictures: list[Picture] = []
    rows = []
    for place, number in places:
        label = classes[int(truth[place].argmax())]
        if len(pictures) < SHOWN_ERRORS:
            caption = f"is {label}\nrather {classes[number]}?"
            pictures.append(Picture(load_rgb(samples[place], config.image), caption))
        rows.append((samples[place].key, label, classes[number], float(scores[place, number])))
    note = ("<p class='soft'>The model gives another class at least the probability that it gives, in the mean, to "
            "that class's own images, and more than to the label (confident learning, Northcutt et al. 2021). The "
            "model or the label is wrong: a person has to say which.</p>")
    return Section(title, html=note, pictures=(("", tuple(pictures)),), name="doubtful-labels", rows=tuple(rows),
                   header=("image", "labelled", "rather", "probability of that"))
