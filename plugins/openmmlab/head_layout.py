"""The meaning of the rows in OpenMMLab's heads: a class or an extra output."""

from __future__ import annotations

from collections.abc import Sequence

from sightsmith.plugin import HeadLayout, HeadRow

BACKGROUND = "background"

BOX_FIRST = 5
"""YOLOv3's rows per anchor before the classes: four of the box and the objectness."""

MAX_EXTRA = 3
"""The most extra rows of a head, after the classes: no object, and two objectness rows of seesaw loss."""


def box_layout(name: str, per_class: int) -> HeadLayout:
    """The layout of mmdet's heads: grouped by class for regression, else by anchor."""
    def layout(rows: int, classes: Sequence[str]) -> Sequence[HeadRow] | None:
        per_anchor, remainder = divmod(rows, per_class)
        row = None if remainder else _row(classes, per_anchor - len(classes))
        if row is None:
            return None
        if "fc_reg" in name:
            return [(entry, part) for entry in row for part in range(per_class)]
        return [(entry, anchor) for anchor in range(per_class) for entry in row]

    return layout


def segmentation_layout(extra: int) -> HeadLayout:
    """The layout of mmsegmentation's heads with ``extra`` rows after the classes.

    Ours have the background first; heads for data sets without background have none.
    """
    def layout(rows: int, classes: Sequence[str]) -> Sequence[HeadRow] | None:
        if rows == len(classes) + 1 + extra:
            classes = [BACKGROUND, *classes]
        return _row(classes, extra) if rows == len(classes) + extra else None

    return layout


def _row(classes: Sequence[str], extra: int) -> Sequence[HeadRow] | None:
    others = [("", number) for number in range(extra)]
    if extra == BOX_FIRST:
        return [*others, *classes]
    return [*classes, *others] if 0 <= extra <= MAX_EXTRA else None
