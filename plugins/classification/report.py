"""The report's sections about a classifier: per-class metrics, confusion, curves, calibration, examples, errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as sklearn_metrics

from sightsmith.plugin import (
    SHOWN_THUMBNAILS,
    Config,
    Picture,
    Sample,
    Section,
    counted,
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
    """In page order. ``results`` and ``samples`` correspond one to one."""
    scores, truth = scores_and_truth(results, multi_label)
    predicted = predictions(scores, multi_label)
    parts = [_per_class(results, truth, predicted, classes, multi_label)]
    if not multi_label and len(classes) <= 40:
        parts.append(_confusion(truth, predicted, classes))
    parts += [_curves(scores, truth, classes), _calibration(scores, truth, multi_label),
              _found(samples, scores, truth, predicted, classes, config),
              _errors(results, samples, scores, truth, classes, multi_label, config)]
    if not multi_label:
        parts.append(_label_errors(samples, scores, truth, classes, config))
    return [*parts, _images(samples, scores, truth, predicted, classes)]


def _per_class(results: Sequence[ClassificationResult], truth: Array, predicted: Array, classes: Sequence[str],
               multi_label: bool) -> Section:
    values = compute(results, classes, multi_label)
    rows = []
    for number, name in enumerate(classes):
        actual, found = truth[:, number], predicted[:, number]
        tp, fp = int((actual & found).sum()), int(((1 - actual) & found).sum())
        fn, tn = int((actual & (1 - found)).sum()), int(((1 - actual) & (1 - found)).sum())
        specificity = tn / (tn + fp) if tn + fp else None
        odds = tp * tn / (fp * fn) if fp and fn else None
        rows.append((name, int(actual.sum()), values[f"precision/{name}"], values[f"recall/{name}"], specificity,
                     (tp + tn) / len(actual), values[f"f1/{name}"], values[f"auc/{name}"], tp, fp, fn, tn, odds))
    header = ("class", "positives", "precision", "recall", "specificity", "accuracy", "F1", "AUC", "TP", "FP", "FN",
              "TN", "odds ratio")
    note = ("Undefined without positives (recall, F1, AUC), without predictions of the class (precision), or without "
            "false positives or false negatives (odds ratio).")
    return Section("Per class", note=note, header=header, rows=tuple(rows), name="per-class")


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
    plots = [Figure(figsize=(4.6, 4.2), layout="constrained") for _ in range(2)]
    roc, precision_recall = (plot.subplots() for plot in plots)
    drawn, undefined = 0, []
    for number, name in enumerate(classes):
        real = truth[:, number]
        if not (0 < real.sum() < len(real) and np.isfinite(scores).all()):
            undefined.append(name)
        elif drawn < DRAWN_CLASSES:
            drawn += 1
            false, hit, _ = sklearn_metrics.roc_curve(real, scores[:, number])
            roc.plot(false, hit, label=f"{escape_dollars(name)}  {sklearn_metrics.auc(false, hit):.3f}")
            precision, recall, _ = sklearn_metrics.precision_recall_curve(real, scores[:, number])
            average = sklearn_metrics.average_precision_score(real, scores[:, number])
            precision_recall.plot(recall, precision, label=f"{escape_dollars(name)}  {average:.3f}")
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    roc.set(title="ROC (AUC)", xlabel="1 - specificity", ylabel="recall")
    precision_recall.set(title="Precision and recall (AP)", xlabel="recall", ylabel="precision",
                         ylim=(0, 1.02))
    for axes in (roc, precision_recall):
        axes.grid(alpha=0.25)
        if drawn:
            axes.legend(fontsize=8)
    notes = []
    if undefined:
        notes.append(f"Undefined without both positives and negatives: {', '.join(undefined)}.")
    if drawn == DRAWN_CLASSES < len(classes) - len(undefined):
        notes.append(f"Only the first {DRAWN_CLASSES} classes are shown.")
    return Section("ROC and precision-recall", figures=tuple(plots), name="roc-pr", note=" ".join(notes))


def _errors(results: Sequence[ClassificationResult], samples: Sequence[Sample], scores: Array, truth: Array,
            classes: Sequence[str], multi_label: bool, config: Config) -> Section:
    """The misclassified images with the highest confidence."""
    wrong: list[tuple[float, int, str]] = []
    for place in range(len(results)):
        if multi_label:
            off = np.abs(scores[place] - truth[place])
            number = int(off.argmax())
            if off[number] >= 0.5:
                prefix = "without" if truth[place, number] else "with"
                wrong.append((float(off[number]), place, f"{prefix} {classes[number]}"))
        elif (number := int(scores[place].argmax())) != int(truth[place].argmax()):
            wrong.append((float(scores[place, number]), place, classes[number]))
    if not wrong:
        return Section("Most confident errors", note="None: all images are classified correctly.")
    wrong.sort(key=lambda item: (-item[0], item[1]))
    captions, rows = [], []
    for confidence, place, predicted in wrong[:SHOWN_ERRORS]:
        sample = samples[place]
        real = ", ".join(sample.labels) or "none"
        captions.append((sample, f"true: {real}\npredicted: {predicted}, {100 * confidence:.0f} %"))
        rows.append((sample.key, real, predicted, confidence))
    note = f"{len(wrong):,} of {counted(len(results), 'image')} misclassified."
    return Section("Most confident errors", note=note, pictures=(("", _pictures(captions, config)),),
                   header=("image", "true", "predicted", "confidence"), rows=tuple(rows), name="errors")


def _pictures(captions: Iterable[tuple[Sample, str]], config: Config) -> Iterator[Picture]:
    return (Picture(load_rgb(sample, config.image), caption, name=sample.key) for sample, caption in captions)


def _calibration(scores: Array, truth: Array, multi_label: bool) -> Section:
    """Whether the predicted probabilities match the observed frequencies."""
    found = metrics.calibration(scores, truth, multi_label)
    plot = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = plot.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    axes.plot([part.confidence for part in found.bins], [part.correct for part in found.bins], marker="o")
    axes.set(xlabel="predicted probability", ylabel="observed frequency", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(alpha=0.25)
    kind = "The probabilities of all classes" if multi_label else "The probability of the predicted class"
    note = (f"{kind} in bins of 0.1. Expected calibration error: {format_metric(found.error)} (Guo et al. "
            "2017; 0 is best).")
    rows = tuple((f"{part.low:.1f} to {part.low + 0.1:.1f}", part.count, part.confidence, part.correct)
                 for part in found.bins)
    return Section("Calibration", note=note, figures=(plot,), name="calibration", rows=rows,
                   header=("probability", "cases", "mean probability", "observed frequency"))


def _found(samples: Sequence[Sample], scores: Array, truth: Array, predicted: Array, classes: Sequence[str],
           config: Config) -> Section:
    """For each class the most confident true and false positives, and its false negatives."""
    rows = []
    for number, name in enumerate(classes[:DRAWN_CLASSES]):
        real, found, score = truth[:, number] == 1, predicted[:, number] == 1, scores[:, number]
        for title, chosen, order in (("true positives", real & found, -score),
                                     ("false positives", ~real & found, -score),
                                     ("false negatives", real & ~found, score)):
            places = [place for place in np.argsort(order, kind="stable").tolist() if chosen[place]]
            captions = [(samples[place], f"probability {score[place]:.2f}") for place in places[:SHOWN_THUMBNAILS]]
            if captions:
                rows.append((f"{name}, {title}: {counted(len(places), 'image')}", _pictures(captions, config)))
    note = ("For each class, with its probability: the most confident true positives, the most confident false "
            "positives, and the false negatives with the lowest probability.")
    return Section("Examples", note=note, pictures=tuple(rows))


def _label_errors(samples: Sequence[Sample], scores: Array, truth: Array, classes: Sequence[str], config: Config,
              ) -> Section:
    """Images whose label is probably wrong."""
    title = "Suspected label errors"
    places = metrics.suspected_label_errors(scores, truth)
    if not places:
        return Section(title, note="None: no image looks more typical of another class than of its own.")
    captions, rows = [], []
    for place, number in places:
        label = classes[int(truth[place].argmax())]
        captions.append((samples[place], f"label: {label}\nsuggested: {classes[number]}"))
        rows.append((samples[place].key, label, classes[number], float(scores[place, number])))
    note = ("The model predicts another class with a higher probability than the label, and at least with the mean "
            "probability of that class's own images (confident learning, Northcutt et al. 2021). Either the model or "
            "the label is wrong; check them by eye.")
    return Section(title, note=note, pictures=(("", _pictures(captions[:SHOWN_ERRORS], config)),),
                   name="suspected-label-errors", rows=tuple(rows),
                   header=("image", "label", "suggested", "probability of suggested"))


def _images(samples: Sequence[Sample], scores: Array, truth: Array, predicted: Array, classes: Sequence[str],
            ) -> Section:
    """Every image, misclassified ones first."""
    rows = []
    for sample, score, real, found in zip(samples, scores, truth, predicted, strict=True):
        true, said = (", ".join(name for name, there in zip(classes, labels, strict=True) if there) or "none"
                      for labels in (real, found))
        rows.append((sample.key, true, said, "yes" if true == said else "no", float(score.max()),
                     float(np.where(real == 1, score, 1 - score).min())))
    rows.sort(key=lambda row: (row[3], row[5]))
    wrong = sum(row[3] == "no" for row in rows)
    note = (f"{wrong:,} of {counted(len(rows), 'image')} misclassified; these come first, and of each kind those "
            "whose true classes are least probable.")
    return Section("Images", note=note, name="images", rows=tuple(rows), filters=("true", "predicted", "correct"),
                   header=("image", "true", "predicted", "correct", "highest probability",
                           "probability of what is true"))
