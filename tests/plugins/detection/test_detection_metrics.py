"""The figures against cases whose answer is known, and against pycocotools fed by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from detections import CLASSES, LARGE, A, B, outcome

from sightsmith.core.contracts.schema import Config
from sightsmith.plugins.detection.metrics import SUMMARY, compute, merged
from sightsmith.plugins.detection.report import sections


@pytest.mark.parametrize("masks", [False, True])
def test_perfect_predictions(masks):
    figures = compute([outcome(0, [(A, 0), (B, 1)], [(A, 0, 0.9), (B, 1, 0.8)], masks=masks),
                       outcome(1, [], [], masks=masks)], CLASSES, masks)
    assert all(figures[name] == pytest.approx(1) for name in ("ap", "ap50", "ar_100"))
    assert figures["ap/a"] == pytest.approx(1)
    assert figures["ap/never"] is None
    assert figures["ap_large"] is None
    assert figures["ap_small"] == pytest.approx(1)
    assert ("box_ap" in figures) is masks


def test_nothing_found_is_zero_and_nothing_there_is_undefined():
    missed = compute([outcome(0, [(A, 0)], [])], CLASSES, False)
    assert missed["ap"] == missed["ap/a"] == 0
    empty = compute([outcome(0, [], [(A, 0, 0.5)])], CLASSES, False)
    assert all(empty[name] is None for name in SUMMARY)


def test_half_of_the_objects_found():
    figures = compute([outcome(0, [(A, 0)], [(A, 0, 0.9)]), outcome(1, [(A, 0)], [])], CLASSES, False)
    # 101 recall points, of which 0 to 0.5 have precision 1 (Microsoft COCO's evaluation).
    assert figures["ap50/a"] == pytest.approx(51 / 101)
    assert figures["ar_100"] == pytest.approx(0.5)


def test_crowds_count_neither_way():
    figures = compute([outcome(0, [(A, 0), (LARGE, 0)], [(A, 0, 0.9), (B, 0, 0.95)], crowd=(1,))], CLASSES, False)
    assert figures["ap50/a"] == pytest.approx(1)


def test_the_summary_is_pycocotools_own():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    random = np.random.default_rng(0)
    outcomes, truth, found = [], [], []
    for index in range(12):
        real = [((*corner, *(corner + random.integers(8, 60, 2))), int(random.integers(2)))
                for corner in random.integers(0, 40, (random.integers(0, 5), 2))]
        said = [(tuple(np.array(box) + random.normal(0, 3, 4)), label if random.random() < 0.8 else 1 - label,
                 float(random.random())) for box, label in real for _ in range(2)]
        crowd = tuple(place for place in range(len(real)) if random.random() < 0.2)
        outcomes.append(outcome(index, real, said, crowd=crowd))
        for place, (box, label) in enumerate(real):
            left, top, right, bottom = map(float, box)
            truth.append({"id": len(truth) + 1, "image_id": index, "category_id": label, "iscrowd": int(place in crowd),
                          "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)})
        for box, label, score in said:
            left, top, right, bottom = np.array(box, np.float32).astype(float)
            found.append({"image_id": index, "category_id": label, "score": np.float32(score).item(),
                          "bbox": [left, top, right - left, bottom - top]})
    coco = COCO()
    coco.dataset = {"images": [{"id": index, "height": 100, "width": 120} for index in range(12)],
                    "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}], "annotations": truth}
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    figures = compute(outcomes, ("a", "b"), False)
    for name, value in zip(SUMMARY, evaluation.stats, strict=True):
        assert figures[name] == (None if value < 0 else pytest.approx(value, abs=1e-9)), name


def test_tiles_are_one_image():
    left, right = (0, 0, 64, 100), (56, 0, 64, 100)
    both = (52, 20, 72, 60)
    tiles = [outcome(0, [(A, 0), (both, 1)], [(A, 0, 0.9), (both, 1, 0.6)], tile=left),
             outcome(1, [(both, 1)], [(both, 1, 0.7)], tile=right)]
    [image] = merged(tiles)
    assert image["truth"]["labels"].tolist() == [0, 1]
    assert image["scores"].tolist() == pytest.approx([0.9, 0.7])
    assert compute(tiles, CLASSES, False)["ap"] == pytest.approx(1)


def test_the_report_stands_whatever_was_found(make_task, squares, drawn_plots):
    samples = [squares("0", (40, 60), [A[:2] + (30, 30)]), squares("1", (40, 60))]
    rows = [outcome(0, [(A, 0)], [(A, 0, 0.9)]), outcome(1, [], [])]
    for row, sample in zip(rows, samples, strict=True):
        row["truth"]["image"] = sample.image
    for shown in (rows, [{**row, "boxes": row["boxes"][:0], "scores": row["scores"][:0], "labels": row["labels"][:0]}
                         for row in rows]):
        for section in sections(shown, samples, ("cat <b>", "$x_", "never"), False, Config()):
            assert "<b>" not in section.html
            for figure in section.figures:
                figure.savefig(io.BytesIO(), format="png")
