"""``predictions.csv`` and the line that sums predictions up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightsmith.core.contracts.prediction import PredictedObject, Prediction
from sightsmith.engine.pipeline.prediction_table import table_for


def filled(classes, predictions, multi_label=False):
    table = table_for(predictions[0], classes, multi_label=multi_label, min_score=0.3)
    return table, [table.add(f"{number}.png", found) for number, found in enumerate(predictions)]


def labels(**scores):
    return Prediction(Path("x.png"), 8, 4, scores=dict(sorted(scores.items(), key=lambda item: -item[1])))


def objects(*found):
    return Prediction(Path("x.png"), 8, 4, objects=tuple(PredictedObject(*item) for item in found))


def areas(rows):
    return Prediction(Path("x.png"), 4, 2, semantic_mask=np.array(rows, np.uint8))


def test_labels():
    table, found = filled(("cat", "dog"), [labels(cat=0.9, dog=0.1), labels(dog=0.45, cat=0.4),
                                           labels(dog=1.0, cat=0.0)])
    assert table.table() == [
        ["image", "frame", "label", "score", "score/cat", "score/dog", "error"],
        ["0.png", "", "cat", 0.9, 0.9, 0.1, ""],
        ["1.png", "", "dog", 0.45, 0.4, 0.45, ""],
        ["2.png", "", "dog", 1.0, 0.0, 1.0, ""]]
    assert found == [{"cat": 0.9}, {"dog": 0.45}, {"dog": 1.0}]
    assert table.summary() == "3 images: 2 dog, 1 cat; 1 with a score below 0.5"


def test_a_prediction_without_scores_has_no_label():
    table, found = filled(("cat", "dog"), [labels(cat=0.9, dog=0.1), labels()])
    assert (table.table()[2][2:], found[1]) == ([""] * 5, {})
    assert table.summary() == "2 images: 1 cat, 1 without a label"


def test_several_labels():
    table, found = filled(("cat", "dog"), [labels(cat=0.9, dog=0.6), labels(dog=0.4, cat=0.2)], multi_label=True)
    assert table.table()[1:] == [["0.png", "", "cat; dog", 0.9, 0.9, 0.6, ""], ["1.png", "", "", 0.4, 0.2, 0.4, ""]]
    assert found == [{"cat": 0.9, "dog": 0.6}, {}]
    assert table.summary() == "2 images: 1 cat, 1 dog, 1 without a label"


def test_objects_below_the_score_are_left_out():
    box = (1, 2, 3.00049, 4)
    table, found = filled(("cell", "crack"), [
        objects(("cell", 0.9, box), ("cell", 0.5, box), ("crack", 0.3, box), ("crack", 0.29, box)),
        objects(("cell", 0.1, box))])
    table.add_error("2.png", "truncated")
    assert table.table() == [
        ["image", "frame", "label", "score", "xmin", "ymin", "xmax", "ymax", "error"],
        ["0.png", "", "cell", 0.9, 1, 2, 3.0, 4, ""], ["0.png", "", "cell", 0.5, 1, 2, 3.0, 4, ""],
        ["0.png", "", "crack", 0.3, 1, 2, 3.0, 4, ""],
        ["1.png", "", "", "", "", "", "", "", ""],
        ["2.png", "", "", "", "", "", "", "", "truncated"]]
    assert found == [{"cell": 0.9, "crack": 0.3}, {}]
    assert table.summary() == "2 images: 3 objects with a score of at least 0.3 (2 cell, 1 crack); none in 1"


def test_the_highest_score_says_which_one_would_find_something():
    table, _ = filled(("cell",), [objects(("cell", 0.123, (1, 2, 3, 4))), objects()])
    assert table.summary() == "2 images: no object with a score of at least 0.3; the highest score is 0.12"


def test_areas():
    table, found = filled(("cell", "crack"), [areas([[1, 1, 0, 0], [2, 0, 0, 0]]), areas([[0] * 4] * 2)])
    assert table.table() == [["image", "frame", "label", "pixels", "share", "error"],
                             ["0.png", "", "cell", 2, 0.25, ""], ["0.png", "", "crack", 1, 0.125, ""],
                             ["1.png", "", "", "", "", ""]]
    assert found == [{"cell": 0.25, "crack": 0.125}, {}]
    assert table.summary() == "2 images: cell in 1 (12.5 % of the area), crack in 1 (6.2 % of the area), nothing in 1"
    numbered, _ = filled(("1",), [areas([[1, 1], [0, 0]])])
    assert numbered.summary() == "1 image: '1' in 1 (50.0 % of the area)"


def test_frames_numbers_as_names_and_many_classes():
    classes = tuple(f"{number:02d}" for number in range(14))
    table = table_for(labels(**dict.fromkeys(classes, 0.5)), classes, multi_label=False, min_score=0.3)
    for frame in range(14):
        table.add("scan.dcm", Prediction(Path("scan.dcm"), 8, 4, frame, scores={
            classes[frame]: 0.9, **dict.fromkeys(classes[:frame] + classes[frame + 1:], 0.0)}))
    assert table.table()[2][:4] == ["scan.dcm", 1, "01", 0.9]
    assert table.summary().startswith("14 frames of 1 image: 1 '00', 1 '01', ")
    assert table.summary().endswith("1 '09', and 4 other classes")


def test_names_that_a_terminal_would_obey():
    table, _ = filled(("\x1b[2Jx", "dog"), [labels(**{"\x1b[2Jx": 0.9, "dog": 0.1})])
    assert table.summary() == r"1 image: 1 \x1b[2Jx"


@pytest.mark.parametrize("score", [0.5, 0.51])
def test_the_threshold_itself_is_certain(score):
    table, _ = filled(("cat", "dog"), [labels(cat=score, dog=1 - score)])
    assert table.summary() == "1 image: 1 cat"
