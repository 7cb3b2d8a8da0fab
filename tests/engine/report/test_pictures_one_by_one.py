"""A page is written a picture at a time, however many and large they are."""

from __future__ import annotations

import gc
import weakref

import numpy as np

from sightsmith.core.contracts.report import Picture, Section
from sightsmith.engine.report.page import write_page


def test_only_one_picture_is_in_memory_while_a_page_is_written(tmp_path):
    alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    most = []

    class Pixels(np.ndarray):
        """An array that can be in a set of weak references."""

        def __hash__(self):
            return id(self)

    def row():
        for number in range(5):
            gc.collect()
            pixels = np.full((40, 60, 3), number, np.uint8).view(Pixels)
            alive.add(pixels)
            most.append(len(alive))
            yield Picture(pixels, f"number {number}")

    write_page(tmp_path / "page", "Title", "", "", [], [Section("Pictures", pictures=(("a row", row()),))])
    assert max(most) <= 2 and len(most) == 5
    assert len(list((tmp_path / "page" / "pictures").glob("*.jpg"))) == 5
    assert all(f"number {number}" in (tmp_path / "page" / "index.html").read_text() for number in range(5))
