"""A page of sections: self-contained, with its tables as CSV and its plots as PNG beside it."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from sightsmith.core.contracts.report import Section
from sightsmith.core.util.files import write_atomic


def write_page(folder: Path, title: str, subtitle: str, description: str, headline: Sequence[tuple[str, str, str]],
               sections: Iterable[Section]) -> None:
    """Write ``index.html`` into ``folder``; ``headline`` are figures with a label before and a span after them."""
    folder.mkdir(exist_ok=True)
    text = files("sightsmith.engine.report").joinpath("report.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True).from_string(text).render(
        title=title, subtitle=subtitle, description=description, headline=headline,
        sections=[_render(folder, section) for section in sections])
    write_atomic(folder / "index.html", page)


def _render(folder: Path, section: Section) -> dict[str, Any]:
    images = []
    for number, plot in enumerate(section.figures):
        buffer = io.BytesIO()
        plot.savefig(buffer, format="png", dpi=110, bbox_inches="tight", facecolor="white")
        images.append(base64.b64encode(buffer.getvalue()).decode())
        if section.name:
            suffix = f"-{number + 1}" if len(section.figures) > 1 else ""
            write_atomic(folder / f"{section.name}{suffix}.png", buffer.getvalue())
    if section.name and section.header:
        table = io.StringIO()
        csv.writer(table).writerows([section.header, *([_exact(cell) for cell in row] for row in section.rows)])
        write_atomic(folder / f"{section.name}.csv", table.getvalue())
    pictures = [(title, [(picture.caption, picture.side, base64.b64encode(picture.png()).decode()) for picture in row])
                for title, row in section.pictures]
    return {"title": section.title, "html": Markup(section.html), "header": section.header,
            "rows": [[_rounded(cell) for cell in row] for row in section.rows], "images": images,
            "pictures": pictures}


def _exact(cell: Any) -> Any:
    """Of a table in CSV: what a float has, to nine digits."""
    return "undefined" if cell is None else f"{cell:.9g}" if isinstance(cell, float) else cell


def _rounded(cell: Any) -> Any:
    """Of a table on the page: four decimals, one of what is above 100, four digits of what is very small or large."""
    if not isinstance(cell, float):
        return _exact(cell)
    if cell == 0 or 1e-3 <= abs(cell) < 100:
        return f"{cell:.4f}"
    return f"{cell:.1f}" if 100 <= abs(cell) < 1e6 else f"{cell:.4g}"
