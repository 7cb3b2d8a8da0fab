"""What detectors found, and the truth, made up."""

from __future__ import annotations

import numpy as np

from sightsmith.engine.data.masks import encode

CLASSES = ("a", "b", "never")
SIZE = (100, 120)


def square(box):
    mask = np.zeros(SIZE, bool)
    left, top, right, bottom = map(int, box)
    mask[top:bottom, left:right] = True
    return encode(mask)


def outcome(index, truth, found, *, masks=False, tile=None, crowd=()):
    """``truth`` [(box, label)], ``found`` [(box, label, score)]."""
    def boxes(items):
        return np.array([item[0] for item in items], np.float32).reshape(-1, 4)

    return {
        "index": index, "loss": 1.0, "boxes": boxes(found), "scores": np.array([item[2] for item in found], np.float32),
        "labels": np.array([item[1] for item in found], np.int64),
        "masks": [square(item[0]) for item in found] if masks else None,
        "truth": {"image": "same" if tile else f"{index}", "size": SIZE, "tile": tile, "boxes": boxes(truth),
                  "labels": np.array([item[1] for item in truth], np.int64),
                  "crowd": np.array([place in crowd for place in range(len(truth))], bool),
                  "masks": [square(item[0]) for item in truth] if masks else None}}


A, B, LARGE = (10, 10, 30, 30), (50, 20, 80, 60), (0, 0, 110, 99)


def noisy(count, seed=0, masks=False):
    """Outcomes of ``count`` images with objects of two classes, crowds, misses and false detections."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(count):
        real = [((*corner, *(corner + random.integers(8, 50, 2))), int(random.integers(2)))
                for corner in random.integers(0, 40, (random.integers(0, 5), 2))]
        said = [(tuple(np.clip(np.array(box) + random.normal(0, 3, 4), 0, 99)),
                 label if random.random() < 0.8 else 1 - label, float(random.random()))
                for box, label in real for _ in range(2) if random.random() < 0.8]
        crowd = () if index % 4 or not real else (0,)
        found.append(outcome(index, real, [*said, (LARGE, 1, float(random.random()))], masks=masks, crowd=crowd))
    return found
