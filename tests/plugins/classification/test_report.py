"""The report stands whatever the outcomes: undefined figures, odd class names, no error at all."""

from __future__ import annotations

import io

import numpy as np
import pytest

CLASSES = ("cat <b>", "cow $x_", "dog")


def outcomes(labels, predicted, multi_label):
    rows = []
    for index, (label, said) in enumerate(zip(labels, predicted, strict=True)):
        logits = np.full(3, -3, np.float32)
        logits[said] = 3
        truth = np.eye(3, dtype=np.int8)[label] if multi_label else label
        rows.append({"index": index, "label": truth, "logits": logits, "loss": 0.1})
    return rows


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("predicted", [[0, 0, 1, 1], [0, 1, 1, 0]], ids=["right", "wrong"])
def test_sections(make_task, write_sample, tmp_path, multi_label, predicted, drawn_plots):
    labels = [0, 0, 1, 1]
    task = make_task(size=32, classes=CLASSES, multi_label=multi_label)
    samples = [write_sample(f"{place}.png", np.full((20, 30), 60 * place, np.uint8), CLASSES[label])
               for place, label in enumerate(labels)]
    sections = {section.name or section.title: section
                for section in task.report(outcomes(labels, predicted, multi_label), samples, tmp_path)}
    assert ("confusion-matrix" in sections) is not multi_label
    rows = {row[0]: row for row in sections["per-class"].rows}
    assert None in rows["dog"]
    assert "<b>" not in "".join(section.html for section in sections.values())
    for section in sections.values():
        for figure in section.figures:
            figure.savefig(io.BytesIO(), format="png")
    if predicted == labels:
        assert not sections["Most confident errors"].rows
    else:
        assert [row[0] for row in sections["errors"].rows] == ["1.png", "3.png"]


def test_the_embedded_digits(tmp_path):
    from PIL import Image

    from sightsmith.plugins.classification.sample import SIDE, write

    write(tmp_path / "digits")
    before = sorted((tmp_path / "digits").rglob("*.png"))
    assert len(before) == 1797
    assert {path.parent.name for path in before} == set("0123456789")
    with Image.open(before[0]) as image:
        assert (image.mode, image.size) == ("L", (SIDE, SIDE))
    write(tmp_path / "digits")
    assert sorted((tmp_path / "digits").rglob("*.png")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
