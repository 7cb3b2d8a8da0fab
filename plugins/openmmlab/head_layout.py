"""What the rows of OpenMMLab's heads are for: which class, or what beside the classes."""

from __future__ import annotations

from collections.abc import Sequence

from sightsmith.plugin import HeadLayout, HeadRow

BACKGROUND = "background"

BOX_FIRST = 5
"""YOLOv3's rows of each anchor: four of the box, one of there being an object, then the classes."""

MOST_BESIDE = 3
"""Rows beside the classes that a head has at most, all behind them: no object, and seesaw's two for object or not."""


def box_layout(name: str, per_class: int) -> HeadLayout:
    """Of mmdet's heads: the regressions of a class together, or the classes of an anchor together."""
    def layout(rows: int, classes: Sequence[str]) -> Sequence[HeadRow] | None:
        of_anchor, left = divmod(rows, per_class)
        row = None if left else _row(classes, of_anchor - len(classes))
        if row is None:
            return None
        if "fc_reg" in name:
            return [(entry, part) for entry in row for part in range(per_class)]
        return [(entry, anchor) for anchor in range(per_class) for entry in row]

    return layout


def map_layout(beside: int) -> HeadLayout:
    """Of mmsegmentation's heads with ``beside`` rows behind the classes.

    Ours have the background before the classes; those of a data set whose every pixel is of a class have none.
    """
    def layout(rows: int, classes: Sequence[str]) -> Sequence[HeadRow] | None:
        if rows == len(classes) + 1 + beside:
            classes = [BACKGROUND, *classes]
        return _row(classes, beside) if rows == len(classes) + beside else None

    return layout


def _row(classes: Sequence[str], beside: int) -> Sequence[HeadRow] | None:
    others = [("", number) for number in range(beside)]
    if beside == BOX_FIRST:
        return [*others, *classes]
    return [*classes, *others] if 0 <= beside <= MOST_BESIDE else None
