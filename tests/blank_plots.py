"""Plots that are saved without being drawn, for tests that look at none."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

BLANK_PLOTS = "SIGHTSMITH_TEST_BLANK_PLOTS"
"""In the environment of processes: they save blank plots."""
DRAW = FigureCanvasAgg.print_png
"""What is replaced."""


def save_blank(canvas, file, **_):
    """In place of matplotlib's ``FigureCanvasAgg.print_png``."""
    Image.new("L", (1, 1)).save(file, "PNG")
