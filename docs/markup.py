"""Markdown: tables, code, and docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

ROLE = re.compile(r":(?:py:)?(?:class|func|meth|mod|data|attr|exc):`~?([^`]+)`")


def markdown(docstring: str) -> str:
    """``docstring`` without the roles of reStructuredText, its literal blocks after one colon."""
    return re.sub(r"::$", ":", ROLE.sub(r"`\1`", docstring), flags=re.MULTILINE)


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    text = "" if value is None else " ".join(str(value).split())
    return "".join(part if part.startswith("`") else part.replace("|", "\\|") for part in re.split(r"(`[^`]*`)", text))


def code(value: Any) -> str:
    return f"`{value}`" if value not in (None, "") else ""
