"""An HTML page of sections, with its tables as CSV, plots as PNG and pictures in full size as files next to it.

The page alone shows everything but the full size of its pictures.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from sightsmith.core.contracts.report import Link, Picture, Section
from sightsmith.core.util.files import write_atomic
from sightsmith.engine.report.pictures import full_size, thumbnail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULA = re.compile(r"[=@\t\r]|[+-].*[|!(]", re.DOTALL)
PICTURES = "pictures"
PAGE_DPI, PLOT_DPI = 110, 180
"""Pixels per inch of a plot on the page, and of its file."""
SHOWN_ROWS = 2000
"""Of a table; its CSV has all."""


def render(template: str, **values: Any) -> Markup:
    """The HTML of a file in ``templates/``; ``values`` are escaped."""
    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> Environment:
    """One, so that each template is compiled once."""
    return Environment(loader=PackageLoader("sightsmith.engine.report"), autoescape=True, trim_blocks=True,
                       lstrip_blocks=True)


@dataclass(frozen=True)
class _Cell:
    """A cell of a table on the page: its text, the exact value to sort by if that is rounded, and a link."""

    text: str
    value: str = ""
    href: str = ""


def write_page(folder: Path, title: str, subtitle: str, description: str, headline: Sequence[tuple[str, str, str]],
               sections: Iterable[Section], warnings: Sequence[str] = (), shown: str = "") -> None:
    """Write ``index.html`` to ``folder``; ``headline`` has (label, value, detail), ``warnings`` stand in a box below
    it, and ``shown``, which says what pictures show of their images, in the note of each section with pictures."""
    folder.mkdir(exist_ok=True)
    page = render("page.html", title=title, subtitle=subtitle, description=description, headline=headline,
                  warnings=warnings,
                  sections=[_section(folder, number, replace(section, note=f"{section.note} {shown}".strip())
                                     if section.pictures else section) for number, section in enumerate(sections, 1)])
    write_atomic(folder / "index.html", page)


def _section(folder: Path, number: int, section: Section) -> dict[str, Any]:
    plots, files = [], []
    for place, plot in enumerate(section.figures, 1):
        content = _png(plot)
        suffix = f"-{place}" if len(section.figures) > 1 else ""
        file = f"{section.name}{suffix}.png" if section.name else ""
        if file:
            write_atomic(folder / file, content)
        plots.append({"file": quote(file), "text": _plot_text(section.title, plot),
                      "width": round(PAGE_DPI * plot.get_figwidth()),
                      "image": base64.b64encode(content).decode()})
    if section.name and section.header:
        files.append(f"{section.name}.csv")
        write_csv(folder / files[-1], [section.header, *section.rows])
    note = section.note
    if len(section.rows) > SHOWN_ROWS:
        rest = f" {section.name}.csv has all." if section.name else ""
        note = f"{note} The first {SHOWN_ROWS:,} of {len(section.rows):,} rows are shown.{rest}".strip()
    return {"title": section.title, "note": note, "html": Markup(section.html),
            "header": [(name, name in section.filters) for name in section.header],
            "rows": [[_cell(cell) for cell in row] for row in section.rows[:SHOWN_ROWS]], "plots": plots,
            "pictures": _pictures(folder, number, section),
            "files": [(name, quote(name)) for name in (*files, *section.sources)]}


def _png(plot: Figure) -> bytes:
    """The file of a plot. The canvas draws it once, where ``savefig`` would draw it twice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # pages without plots do without it

    buffer = io.BytesIO()
    plot.set_dpi(PLOT_DPI)
    plot.set_facecolor("white")
    FigureCanvasAgg(plot).print_png(buffer)
    return buffer.getvalue()


def _plot_text(title: str, plot: Any) -> str:
    """What stands for a plot where it cannot be seen."""
    parts = [name for axes in plot.axes if (name := axes.get_title()) and name != title]
    return ": ".join([title, ", ".join(parts)] if parts else [title])


def _pictures(folder: Path, number: int, section: Section) -> list[tuple[str, list[dict[str, Any]]]]:
    """The rows of pictures of a section, the ``number``-th of the page."""
    rows, count = [], 0
    if section.pictures:
        (folder / PICTURES).mkdir(exist_ok=True)
    for title, row in section.pictures:
        shown = []
        for picture in row:
            count += 1
            file = f"{PICTURES}/{number}-{count}.jpg"
            (folder / file).write_bytes(full_size(picture))  # atomic is the page, which comes last and names them
            shown.append({"name": picture.name, "caption": picture.caption, "width": picture.side, "file": file,
                          "text": _picture_text(picture, title or section.title),
                          "image": base64.b64encode(thumbnail(picture)).decode()})
        rows.append((title, shown))
    return rows


def _picture_text(picture: Picture, title: str) -> str:
    """What stands for a picture where it cannot be seen, and below it in full size."""
    caption = picture.caption.replace("\n", ", ")
    return ": ".join(filter(None, (picture.name or title, caption)))


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
    if isinstance(cell, Link):
        return cell.text
    return "undefined" if cell is None else f"{cell:.9g}" if isinstance(cell, float) else cell


def _cell(cell: Any) -> _Cell:
    if isinstance(cell, Link):
        return _Cell(cell.text, href=quote(cell.path))
    if isinstance(cell, float):
        return _Cell(_rounded(cell), value=_exact(cell))
    return _Cell(f"{cell:,}" if isinstance(cell, int) else str(_exact(cell)), value=str(cell) if isinstance(cell, int)
                 else "")


def _rounded(cell: float) -> str:
    """On the page, floats have four decimals, or one from 100 on, and very small or large ones four significant digits.
    """
    if cell == 0 or 1e-3 <= abs(cell) < 100:
        return f"{cell:.4f}"
    return f"{cell:.1f}" if 100 <= abs(cell) < 1e6 else f"{cell:.4g}"
