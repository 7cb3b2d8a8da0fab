"""The report's pictures: which images are hard, and what of them was found."""

from __future__ import annotations

import numpy as np

from sightsmith.plugins.detection.report import sections

CLASSES = ("light", "dark")
BOX, OTHER = (10, 10, 40, 40), (50, 50, 90, 80)


def result(sample, predicted, loss):
    """``predicted`` has (box, class number, score)."""
    boxes = np.array([box for box, _, _ in predicted], np.float32).reshape(-1, 4)
    objects = sample.objects
    return {
        "index": 0, "loss": loss, "boxes": boxes, "masks": None,
        "scores": np.array([score for _, _, score in predicted], np.float32),
        "labels": np.array([number for _, number, _ in predicted], np.int64),
        "truth": {"image": sample.image, "size": (100, 100), "tile": None, "masks": None,
                  "boxes": np.array([item.box for item in objects], np.float32).reshape(-1, 4),
                  "labels": np.array([CLASSES.index(item.label) for item in objects], np.int64),
                  "crowd": np.array([item.crowd for item in objects], bool)}}


def test_the_hardest_images_are_those_with_most_errors_whatever_the_loss_of_their_batch(squares, configure):
    samples = [squares(name, (100, 100), [BOX, OTHER]) for name in ("found", "missed", "false", "worst", "alone")]
    right = [(BOX, 0, 0.9), (OTHER, 1, 0.8)]
    predicted = [right, right[:1], [*right, ((60, 5, 95, 30), 1, 0.7)], [((60, 5, 95, 30), 1, 0.7)], right]
    losses = (9.0, 9.0, 1.0, 1.0, 1.0)  # of two batches
    results = [result(sample, said, loss) for sample, said, loss in zip(samples, predicted, losses, strict=True)]
    by_title = {section.title: section for section in sections(results, samples, CLASSES, False,
                                                               configure("any", size=96))}
    [[_, pictures]] = by_title["Hardest images"].pictures
    assert [(picture.name, picture.caption) for picture in pictures] == [
        ("worst.png", "2 false negatives, 1 false positive"), ("false.png", "0 false negatives, 1 false positive"),
        ("missed.png", "1 false negative, 0 false positives")]
    titles = [title for title, _ in by_title["Examples"].pictures]
    assert titles == ["light, true positives: 4 objects", "light, false negatives: 1 object",
                      "dark, true positives: 3 objects", "dark, false positives: 2 objects",
                      "dark, false negatives: 2 objects"]
    assert [picture.caption for _, row in by_title["Examples"].pictures for picture in row][3:5] == [
        "score 0.90", "missed"]
    images = by_title["Images"]
    assert [row[:6] for row in images.rows] == [
        ("worst.png", "light, dark", 2, 0, 2, 1), ("false.png", "light, dark", 2, 2, 0, 1),
        ("missed.png", "light, dark", 2, 1, 1, 0), ("alone.png", "light, dark", 2, 2, 0, 0),
        ("found.png", "light, dark", 2, 2, 0, 0)]
    assert images.note.startswith("10 objects in 5 images, ")


def test_without_an_error_no_image_is_hard(squares, configure):
    sample = squares("found", (100, 100), [BOX])
    found = sections([result(sample, [(BOX, 0, 0.9)], 3.0)], [sample], CLASSES, False, configure("any", size=96))
    [hardest] = [section for section in found if section.title == "Hardest images"]
    assert not hardest.pictures and "all objects are found" in hardest.note
