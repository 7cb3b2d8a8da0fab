"""The figures in the files of reports, against scikit-learn and pycocotools on what the model predicts."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn import metrics
from sklearn.calibration import calibration_curve

import sightsmith
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data.masks import encoded
from sightsmith.engine.pipeline.load_dataset import check

EXACT = 1e-6


def table(folder, name):
    """The rows of a CSV by their first cell, each a dict by the header."""
    with (folder / f"{name}.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def same(text, value):
    assert float(text) == pytest.approx(float(value), abs=EXACT)


def undefined_or(text, defined, value):
    if defined:
        same(text, value)
    else:
        assert text == "undefined"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Pictures of one or two of three shades; ``shapes(several)`` writes them with all their labels, or with one."""
    def write(several):
        root = tmp_path_factory.mktemp("shades")
        lines = []
        for number in range(80):
            random = np.random.default_rng(number)
            labels = sorted(random.choice(["dark", "grey", "light"], 1 + several * (number % 2), replace=False))
            values = random.normal(0, 45, (32, 32))
            for place, label in enumerate(labels):
                values[:, place * 16:] += {"dark": 60, "grey": 125, "light": 190}[label] - values[:, place * 16:].mean()
            Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(root / f"{number}.png")
            lines += [f"{number}.png,{name},{int(name in labels)}" for name in ("dark", "grey", "light")] if several \
                else [f"{number}.png,{labels[0]}"]
        (root / "label.csv").write_text("\n".join(lines) + "\n")
        return root

    return write


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
def test_classification(shapes, tmp_path, several):
    root = shapes(several)
    result = sightsmith.train([
        "task=classification", f"dataset.root={root}", "network=shufflenet_v2_x0_5", "network.weights=none",
        "recipe=platform", "image.size=32", "hyper.epochs=3", "hyper.learning_rate=0.003", "hyper.optimizer=adamw",
        "trainer.precision=fp32", "dataset.validation_percentage=40", "logger=[]", f"output_dir={tmp_path}"])
    samples = check(result.task.config, load_plugins(), lambda line: None).validation
    said = list(result.predict(sample.path for sample in samples))
    scores = np.array([[item.scores[name] for name in result.classes] for item in said])
    truth = np.array([[name in sample.labels for name in result.classes] for sample in samples])
    found = scores >= 0.5 if several else scores == scores.max(1, keepdims=True)
    report = result.report.parent
    rows = table(report, "per-class")
    assert list(rows) == list(result.classes)
    for number, name in enumerate(result.classes):
        row, real, says = rows[name], truth[:, number], found[:, number]
        (rest, false), (missed, hits) = metrics.confusion_matrix(real, says, labels=[False, True])
        assert [int(row[key]) for key in ("TP", "FP", "FN", "TN")] == [hits, false, missed, rest]
        assert int(row["positives"]) == real.sum()
        undefined_or(row["precision"], says.any(), metrics.precision_score(real, says, zero_division=0))
        undefined_or(row["recall"], real.any(), metrics.recall_score(real, says, zero_division=0))
        undefined_or(row["F1"], real.any(), metrics.f1_score(real, says, zero_division=0))
        undefined_or(row["specificity"], not real.all(), metrics.recall_score(~real, ~says, zero_division=0))
        undefined_or(row["AUC"], 0 < real.sum() < len(real), metrics.roc_auc_score(real, scores[:, number]))
        undefined_or(row["odds ratio"], false and missed, metrics.class_likelihood_ratios(real, says)[0]
                     / metrics.class_likelihood_ratios(real, says)[1] if false and missed else 0)
        same(row["accuracy"], metrics.accuracy_score(real, says))
    same(result.metrics["macro_auc"], metrics.roc_auc_score(truth, scores, average="macro"))
    same(result.metrics["macro_f1"], metrics.f1_score(truth, found, average="macro", zero_division=0))
    same(result.metrics["loss"], np.mean([metrics.log_loss(truth[:, number], scores[:, number])
                                          for number in range(3)]) if several else metrics.log_loss(truth, scores))
    score = table(report, "score")["validation"]
    same(score["macro_f1" if several else "accuracy"], result.metrics["macro_f1" if several else "accuracy"])
    if not several:
        same(result.metrics["accuracy"], metrics.accuracy_score(truth.argmax(1), found.argmax(1)))
        counts = metrics.confusion_matrix(truth.argmax(1), found.argmax(1), labels=range(3))
        for name, row in zip(result.classes, counts, strict=True):
            assert [int(table(report, "confusion-matrix")[name][other]) for other in result.classes] == row.tolist()
    sure, right = (scores, truth) if several else (scores.max(1), truth[found])
    part, mean = calibration_curve(np.ravel(right), np.ravel(sure), n_bins=10)
    bins = list(table(report, "calibration").values())
    for row, one, two in zip(bins, mean, part, strict=True):
        same(row["mean probability"], one)
        same(row["observed frequency"], two)


@pytest.mark.slow
@pytest.mark.parametrize(("run", "kind"), [("photo_boxes", "bbox"), ("photo_masks", "segm")])
def test_detection(request, run, kind):
    """pycocotools is given boxes and masks as the data set has them, and as the model predicts them."""
    result = request.getfixturevalue(run)
    samples = check(result.task.config, load_plugins(), lambda line: None).validation
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    predictions = []
    for number, (sample, said) in enumerate(zip(samples, result.predict(sample.path for sample in samples),
                                                strict=True)):
        content["images"].append({"id": number, "width": said.width, "height": said.height})
        for side, items in ((content["annotations"], sample.objects), (predictions, said.objects)):
            for item in items:
                left, top, right, bottom = item.box
                entry = {"id": len(side) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                         "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
                if kind == "segm":
                    mask = encoded(item.mask, said.height, said.width)
                    entry["segmentation"] = {"size": [mask.height, mask.width], "counts": mask.counts}
                    entry["area"] = int(run_lengths.area(entry["segmentation"]))
                if side is predictions:
                    entry["score"] = item.score
                side.append(entry)
    truth = COCO()
    truth.dataset = content
    truth.createIndex()
    assert predictions
    evaluation = COCOeval(truth, truth.loadRes(predictions), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    names = ["ap", "ap50", "ap75", "ap small", "ap medium", "ap large", "ar 1", "ar 10", "ar 100", "ar small",
             "ar medium", "ar large"]
    rows = table(result.report.parent, "average-precision")
    column = "masks" if kind == "segm" else "boxes"
    for name, value in zip(names, evaluation.stats, strict=True):
        undefined_or(rows[name][column], value >= 0, value)
    assert evaluation.stats[0] > 0.01
    row = table(result.report.parent, "per-class")["thing"]
    assert int(row["objects"]) == len(content["annotations"])
    same(row["AP"], evaluation.stats[0])
    same(row["AP50"], evaluation.stats[1])
    same(table(result.report.parent, "score")["validation"]["ap"], evaluation.stats[0])


def test_segmentation(photos, photo_maps):
    """Pixel by pixel of the images in their own size, which is not that of the network's input."""
    result = photo_maps
    samples = check(result.task.config, load_plugins(), lambda line: None).validation
    paths = [sample.path for sample in samples]
    truth = np.concatenate([np.array(Image.open(photos / "maps" / "masks" / path.name)).ravel() for path in paths])
    found = np.concatenate([item.semantic_mask.ravel() for item in result.predict(paths)])
    report = result.report.parent
    counts = metrics.confusion_matrix(truth, found, labels=[0, 1])
    names = ("background", result.classes[0])
    for name, row in zip(names, counts, strict=True):
        assert [int(table(report, "confusion-matrix")[name][other]) for other in names] == row.tolist()
    for number, name in enumerate(names):
        row, real, says = table(report, "per-class")[name], truth == number, found == number
        for key, value in (("Dice", metrics.f1_score(real, says)), ("IoU", metrics.jaccard_score(real, says)),
                           ("precision", metrics.precision_score(real, says)),
                           ("recall", metrics.recall_score(real, says)),
                           ("specificity", metrics.recall_score(~real, ~says)),
                           ("accuracy", metrics.accuracy_score(real, says))):
            same(row[key], value)
    same(table(report, "score")["validation"]["dice"], metrics.f1_score(truth == 1, found == 1))
    same(result.metrics["pixel_accuracy"], metrics.accuracy_score(truth, found))
    same(result.metrics["miou"], metrics.jaccard_score(truth == 1, found == 1))  # the mean of all but background
    assert 0.1 < float(table(report, "score")["validation"]["dice"]) < 1
    for path, dice in ((path, row["Dice"]) for path, row in table(report, "images").items()):
        one = np.array(Image.open(photos / "maps" / "masks" / path.rsplit("/", 1)[-1])) == 1
        [item] = result.predict([photos / "maps" / path])
        same(dice, metrics.f1_score(one.ravel(), (item.semantic_mask == 1).ravel()))
