"""A self-contained HTML page of sections, with its tables as CSV and plots as PNG files next to it."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from sightsmith.core.contracts.report import Section
from sightsmith.core.util.files import write_atomic
from sightsmith.engine.report.png import as_png

FORMULA = re.compile(r"[=@\t\r]|[+-].*[|!(]", re.DOTALL)


def render(template: str, **values: Any) -> Markup:
    """The HTML of a file in ``templates/``; ``values`` are escaped."""
    environment = Environment(loader=PackageLoader("sightsmith.engine.report"), autoescape=True)
    return Markup(environment.get_template(template).render(values))


def write_page(folder: Path, title: str, subtitle: str, description: str, headline: Sequence[tuple[str, str, str]],
               sections: Iterable[Section], warnings: Sequence[str] = (), shown: str = "") -> None:
    """Write ``index.html`` to ``folder``; ``headline`` has (label, value, detail), ``warnings`` stand in a box below
    it, and ``shown``, which says what pictures show of their images, in the note of each section with pictures."""
    folder.mkdir(exist_ok=True)
    page = render("page.html", title=title, subtitle=subtitle, description=description, headline=headline,
                  warnings=warnings,
                  sections=[_section(folder, replace(section, note=f"{section.note} {shown}".strip())
                                     if section.pictures else section) for section in sections])
    write_atomic(folder / "index.html", page)


def _section(folder: Path, section: Section) -> dict[str, Any]:
    images = []
    for number, plot in enumerate(section.figures):
        buffer = io.BytesIO()
        plot.savefig(buffer, format="png", dpi=110, facecolor="white")
        images.append(base64.b64encode(buffer.getvalue()).decode())
        if section.name:
            suffix = f"-{number + 1}" if len(section.figures) > 1 else ""
            write_atomic(folder / f"{section.name}{suffix}.png", buffer.getvalue())
    if section.name and section.header:
        write_csv(folder / f"{section.name}.csv", [section.header, *section.rows])
    pictures = [(title, [(picture.caption, picture.side,
                          base64.b64encode(as_png(picture)).decode()) for picture in row])
                for title, row in section.pictures]
    return {"title": section.title, "note": section.note, "html": Markup(section.html), "header": section.header,
            "rows": [[_rounded(cell) for cell in row] for row in section.rows], "images": images,
            "pictures": pictures}


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write ``rows``, the header first."""
    table = io.StringIO()
    csv.writer(table).writerows([_inert(_exact(cell)) for cell in row] for row in rows)
    write_atomic(path, table.getvalue())


def _inert(cell: Any) -> Any:
    """Text that a spreadsheet would compute, such as a file called ``=1+1.png``, behind an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def _exact(cell: Any) -> Any:
    """A cell of a CSV file: floats have nine significant digits."""
    return "undefined" if cell is None else f"{cell:.9g}" if isinstance(cell, float) else cell


def _rounded(cell: Any) -> Any:
    """A cell on the page: floats have four decimals, or one from 100 on, and very small or large ones four significant
    digits."""
    if not isinstance(cell, float):
        return _exact(cell)
    if cell == 0 or 1e-3 <= abs(cell) < 100:
        return f"{cell:.4f}"
    return f"{cell:.1f}" if 100 <= abs(cell) < 1e6 else f"{cell:.4g}"
