"""The free-response curve against a plain count at every score, and COCO's own recall at its end."""

from __future__ import annotations

import numpy as np
import pytest
from detections import CLASSES, LARGE, noisy, outcome

from sightsmith.plugins.detection.froc import froc
from sightsmith.plugins.detection.metrics import evaluate, match, merged


def curves_of(images, masks):
    return froc(match(images, CLASSES, "segm" if masks else "bbox"), len(images), CLASSES)


def overlap(first, second):
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    both = max(right - left, 0) * max(bottom - top, 0)
    return both / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - both)


def counted(images, number, least):
    """Hits and false detections of a class with a score of ``least`` or more, matched greedily, the surest first."""
    hits = false = 0
    for image in images:
        real = [box for box, label in zip(image["truth"]["boxes"], image["truth"]["labels"], strict=True)
                if label == number]
        free = set(range(len(real)))
        order = np.argsort(-image["scores"], kind="stable")
        for place in order:
            if image["labels"][place] != number or image["scores"][place] < least:
                continue
            best = max(free, key=lambda index: overlap(real[index], image["boxes"][place]), default=None)
            if best is not None and overlap(real[best], image["boxes"][place]) >= 0.5:
                free.discard(best)
                hits += 1
            else:
                false += 1
    return hits, false


def test_every_point_is_a_count():
    outcomes = [row for row in noisy(24) if not row["truth"]["crowd"].any()]
    images = merged(outcomes)
    curves = curves_of(images, False)
    assert curves["never"] is None
    for number, name in enumerate(CLASSES[:2]):
        objects = sum(int((image["truth"]["labels"] == number).sum()) for image in images)
        scores = sorted({float(score) for image in images
                         for score, label in zip(image["scores"], image["labels"], strict=True) if label == number},
                        reverse=True)
        points = [(0, 0), *(counted(images, number, score) for score in scores)]
        assert curves[name].recall == pytest.approx([hits / objects for hits, _ in points])
        assert curves[name].false == pytest.approx([false / len(images) for _, false in points])
        for rate in (0.05, 0.5, 2):
            assert curves[name].recall_at(rate) == max(
                hits / objects for hits, false in points if false / len(images) <= rate)


@pytest.mark.parametrize("masks", [False, True])
def test_it_ends_at_coco_s_recall(masks):
    images = merged(noisy(24, masks=masks))
    recall = evaluate(images, CLASSES, "segm" if masks else "bbox").eval["recall"][0, :, 0, 2]
    curves = curves_of(images, masks)
    assert [curves[name].recall[-1] for name in CLASSES[:2]] == pytest.approx(recall.tolist()[:2])


def test_a_class_without_objects_is_undefined():
    images = merged([outcome(0, [(LARGE, 0)], [(LARGE, 0, 0.9), (LARGE, 1, 0.8)])])
    curves = curves_of(images, False)
    assert curves[CLASSES[1]] is None
    assert curves[CLASSES[0]].recall_at(0) == 1
    assert curves[None].recall_at(1) == 1
    assert curves_of(merged([outcome(0, [], [(LARGE, 0, 0.9)])]), False) == {None: None, **dict.fromkeys(CLASSES)}
