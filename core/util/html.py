"""What notebooks show of records: tables and pages as HTML, escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path


def html_table(rows: Iterable[Sequence[object]], header: Sequence[str] = (), title: str = "") -> str:
    """A table of ``rows`` as text; None is an empty cell."""
    parts = [f"<caption style='text-align:left;font-weight:bold'>{escape(title)}</caption>"] if title else []
    parts += [_row(header, "th")] if header else []
    parts += [_row(row, "td") for row in rows]
    return f"<table>{''.join(parts)}</table>"


def _row(cells: Sequence[object], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{_cell(cell)}</{tag}>' for cell in cells)}</tr>"


def _cell(cell: object) -> str:
    return "" if cell is None else escape(str(cell)).replace("\n", "<br>")


@dataclass(frozen=True)
class ShownPage:
    """The page ``path``, ``height`` pixels of which a notebook shows as the value of a cell."""

    path: Path
    height: int

    def _repr_html_(self) -> str:
        """All of it, because a page of another folder cannot be reached from a notebook."""
        page = escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" style="width:100%;height:{self.height}px;border:0"></iframe>'
