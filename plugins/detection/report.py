"""The report's sections about a detector: average precision, curves, examples, and the hardest images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from sightsmith.plugin import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    SHOWN_THUMBNAILS,
    TRUE_POSITIVE,
    Array,
    Box,
    Colour,
    Config,
    Picture,
    Sample,
    Section,
    around,
    counted,
    escape_dollars,
    load_rgb,
    load_rgb_part,
    scaled_box,
)
from sightsmith.plugins.detection.froc import RATES, froc
from sightsmith.plugins.detection.metrics import (
    SUMMARY,
    DetectionResult,
    Truth,
    compute,
    evaluate,
    match,
    merged,
)

DRAWN_CLASSES = 12
SHOWN_IMAGES = 12
LARGE = 320
"""Longer side of whole images in the report, pixels."""
MIN_SCORE = 0.3
"""Predictions below this score are not drawn."""


def sections(results: Sequence[DetectionResult], samples: Sequence[Sample], classes: Sequence[str], with_masks: bool,
             config: Config) -> list[Section]:
    """In page order. ``results`` and ``samples`` correspond one to one."""
    values = compute(results, classes, with_masks)
    images = merged(results)
    matched = match(images, classes, "segm" if with_masks else "bbox")
    findings = _findings(matched, len(images), len(classes))
    return [_summary(values, with_masks), _per_class(images, values, classes), _curves(images, classes, with_masks),
            _froc(matched, len(images), classes), _found(findings, images, samples, classes, config),
            _hardest(findings, images, samples, classes, config), _images(findings, images, classes)]


def _summary(values: dict[str, float | None], with_masks: bool) -> Section:
    kinds = [("masks", ""), ("boxes", "box_")] if with_masks else [("boxes", "")]
    rows = tuple((name.replace("_", " "), *(values[f"{prefix}{name}"] for _, prefix in kinds))
                 for name in SUMMARY)
    note = ("AP: mean over IoU 0.50 to 0.95; AR n: recall with n predictions per image. Small: below 32² pixels, "
            "large: from 96² pixels. Undefined: there is no such object.")
    return Section("Average precision and recall", note=note, header=("", *(kind for kind, _ in kinds)), rows=rows,
                   name="average-precision")


def _per_class(images: Sequence[DetectionResult], values: dict[str, float | None], classes: Sequence[str]) -> Section:
    rows = []
    for number, name in enumerate(classes):
        objects = sum(int(((image["truth"]["labels"] == number) & ~image["truth"]["crowd"]).sum()) for image in images)
        rows.append((name, objects, values[f"ap/{name}"], values[f"ap50/{name}"]))
    return Section("Per class", header=("class", "objects", "AP", "AP50"), rows=tuple(rows), name="per-class")


def _curves(images: Sequence[DetectionResult], classes: Sequence[str], with_masks: bool) -> Section:
    evaluation = evaluate(images, classes, "segm" if with_masks else "bbox")
    plots = []
    for place, title in ((0, "IoU 0.50"), (5, "IoU 0.75")):
        plots.append(Figure(figsize=(4.6, 4), layout="constrained"))
        axes = plots[-1].subplots()
        for number, name in enumerate(classes[:DRAWN_CLASSES]):
            precision = evaluation.eval["precision"][place, :, number, 0, 2]
            if (precision > -1).any():
                axes.plot(evaluation.params.recThrs, precision, label=f"{escape_dollars(name)}  {precision.mean():.3f}")
        axes.set(title=f"{title} (average precision)", xlabel="recall", ylabel="precision", xlim=(0, 1.02),
                 ylim=(0, 1.02))
        axes.grid(alpha=0.25)
        if axes.lines:
            axes.legend(fontsize=8)
    return Section("Precision and recall", figures=tuple(plots), name="precision-recall")


def _froc(evaluation: Any, images: int, classes: Sequence[str]) -> Section:
    curves = froc(evaluation, images, classes)
    plot = Figure(figsize=(6.5, 4), layout="constrained")
    axes = plot.subplots()
    least = 0.5 / images
    for name in (*classes[:DRAWN_CLASSES], *([None] if len(classes) > 1 else [])):
        curve = curves[name]
        if curve is not None:
            axes.step([least, *curve.false[1:].clip(least)], curve.recall, where="post",
                      label=escape_dollars(name or "all classes"), color="black" if name is None else None)
    axes.set(xscale="log", xlabel="false positives per image", ylabel="recall", ylim=(0, 1.02))
    axes.grid(alpha=0.25)
    if axes.lines:
        axes.legend(fontsize=8)
    rows = tuple((name or "all classes", *(None if curve is None else curve.recall_at(rate) for rate in RATES))
                 for name, curve in curves.items())
    note = ("Free-response ROC at an IoU of 0.5: the recall at the score threshold that gives so many false positives "
            "per image.")
    return Section("FROC", note=note, figures=(plot,), name="froc", rows=rows,
                   header=("recall at false positives per image", *(f"{rate:g}" for rate in RATES)))


@dataclass(frozen=True)
class _Finding:
    """A detection, or a missed object with ``score`` 0, of class ``number`` in the image at index ``place``."""

    kind: Literal["true positives", "false positives", "false negatives"]
    number: int
    place: int
    score: float
    box: Box


COLOURS = {"true positives": TRUE_POSITIVE, "false positives": FALSE_POSITIVE, "false negatives": FALSE_NEGATIVE}


def _findings(evaluation: Any, images: int, classes: int) -> list[_Finding]:
    """At an IoU of 0.5: detections with a score of at least :data:`MIN_SCORE`, and missed objects. Crowds and their
    matches are ignored."""
    found = []
    for number in range(classes):
        begin = number * len(evaluation.params.areaRng) * images
        for place, entry in enumerate(evaluation.evalImgs[begin:begin + images]):
            if entry is None:
                continue
            for key, matched, ignored, score in zip(entry["dtIds"], entry["dtMatches"][0], entry["dtIgnore"][0],
                                                    entry["dtScores"], strict=True):
                if score >= MIN_SCORE and not ignored:
                    found.append(_Finding("true positives" if matched else "false positives", number, place,
                                          float(score), _box(evaluation.cocoDt.anns[key])))
            scores = dict(zip(entry["dtIds"], entry["dtScores"], strict=True))
            for key, matched, ignored in zip(entry["gtIds"], entry["gtMatches"][0], entry["gtIgnore"], strict=True):
                if not ignored and not (matched and scores.get(int(matched), 0) >= MIN_SCORE):
                    found.append(_Finding("false negatives", number, place, 0.0, _box(evaluation.cocoGt.anns[key])))
    return found


def _found(findings: Sequence[_Finding], images: Sequence[DetectionResult], samples: Sequence[Sample],
           classes: Sequence[str], config: Config) -> Section:
    """For each class the most confident true and false positives, and false negatives."""
    by_image = {sample.image: sample for sample in samples}
    rows = []
    for number, name in enumerate(classes[:DRAWN_CLASSES]):
        for kind, colour in COLOURS.items():
            items = [item for item in findings if (item.number, item.kind) == (number, kind)]
            chosen = sorted(items, key=lambda item: (-item.score, item.place))[:SHOWN_THUMBNAILS]
            if chosen:
                of_items = [(item, images[item.place]["truth"]) for item in chosen]
                rows.append((f"{name}, {kind}: {counted(len(items), 'object')}",
                             _cuts(of_items, by_image, colour, config)))
    note = (f"For each class, at an IoU of 0.5 and a score of at least {MIN_SCORE:g}: the most confident true "
            "positives, the most confident false positives, and false negatives.")
    return Section("Examples", note=note, pictures=tuple(rows))


def _box(annotation: dict[str, Any]) -> Box:
    left, top, width, height = annotation["bbox"]
    return left, top, left + width, top + height


def _cuts(items: Iterable[tuple[_Finding, Truth]], by_image: Mapping[str, Sample], colour: Colour,
          config: Config) -> Iterator[Picture]:
    """The surroundings of each object, whose image has the truth beside it."""
    for item, truth in items:
        box, area, sample = item.box, around(item.box, truth["size"]), by_image[truth["image"]]
        pixels = load_rgb_part(sample, config.image, area).values
        inside = (box[0] - area[0], box[1] - area[1], box[2] - area[0], box[3] - area[1])
        caption = f"score {item.score:.2f}" if item.score else "missed"
        yield Picture(pixels, caption, ((scaled_box(inside, pixels, area[:1:-1]), colour, ""),), name=sample.image)


def _hardest(findings: Sequence[_Finding], images: Sequence[DetectionResult], samples: Sequence[Sample],
             classes: Sequence[str], config: Config) -> Section:
    """The images with the most errors, with their annotated and predicted objects."""
    by_image = {sample.image: sample for sample in samples}
    wrong = [[item for item in findings if item.place == place and item.kind != "true positives"]
             for place in range(len(images))]
    places = sorted((place for place in range(len(images)) if wrong[place]),  # ties: higher scores first
                    key=lambda place: (-len(wrong[place]), -sum(item.score for item in wrong[place])))
    if not places:
        return Section("Hardest images", note="None: all objects are found, and there are no false positives.")
    note = ("The images with the most false negatives and false positives. Green: annotated objects; red: predictions "
            f"with a score of at least {MIN_SCORE:g}.")
    pictures = _annotated([(images[place], wrong[place]) for place in places[:SHOWN_IMAGES]], by_image, classes, config)
    return Section("Hardest images", note=note, pictures=(("", pictures),))


def _annotated(found: Iterable[tuple[DetectionResult, list[_Finding]]], by_image: Mapping[str, Sample],
               classes: Sequence[str], config: Config) -> Iterator[Picture]:
    """Images with their annotated and predicted objects; ``found`` has what is wrong in each."""
    for image, wrong in found:
        sample = by_image[image["truth"]["image"]]
        confident = np.flatnonzero(image["scores"] >= MIN_SCORE)
        pixels, size = load_rgb(sample, config.image), image["truth"]["size"]
        boxes = [(scaled_box(_tuple(box), pixels, size), TRUE_POSITIVE, "") for box in image["truth"]["boxes"]]
        boxes += [(scaled_box(_tuple(image["boxes"][number]), pixels, size), FALSE_POSITIVE,
                   f"{classes[image['labels'][number]]} {image['scores'][number]:.2f}") for number in confident]
        missed = sum(item.kind == "false negatives" for item in wrong)
        caption = ", ".join((counted(missed, "false negative"), counted(len(wrong) - missed, "false positive")))
        yield Picture(pixels, caption, tuple(boxes), LARGE, sample.image)


def _images(findings: Sequence[_Finding], images: Sequence[DetectionResult], classes: Sequence[str]) -> Section:
    """Every image, those with the most errors first."""
    counts: Counter[tuple[int, str]] = Counter((item.place, item.kind) for item in findings)
    rows = []
    for place, image in enumerate(images):
        hits, false, missed = (counts[place, kind] for kind in COLOURS)
        truth, scores = image["truth"], image["scores"]
        there = dict.fromkeys(classes[number] for number in truth["labels"][~truth["crowd"]])
        rows.append((truth["image"], ", ".join(there) or "none", int((~truth["crowd"]).sum()), hits, missed, false,
                     float(scores.max()) if len(scores) else None))
    rows.sort(key=lambda row: (-row[4] - row[5], row[0]))
    objects = sum(row[2] for row in rows)
    note = (f"{counted(objects, 'object')} in {counted(len(rows), 'image')}, at an IoU of 0.5 and a score of at least "
            f"{MIN_SCORE:g}; the images with the most errors come first.")
    return Section("Images", note=note, name="images", rows=tuple(rows), filters=("classes",), header=(
        "image", "classes", "objects", "true positives", "false negatives", "false positives", "highest score"))


def _tuple(box: Array) -> Box:
    left, top, right, bottom = box.tolist()
    return left, top, right, bottom
