"""Docstrings as Markdown: the roles of reStructuredText, and its literal blocks."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:py:)?(?:class|func|meth|mod|data|attr|exc):`~?([^`]+)`")


def markdown(text: str) -> str:
    """``text`` without roles, with its literal blocks after one colon."""
    return re.sub(r"::$", ":", ROLE.sub(r"`\1`", text), flags=re.MULTILINE)


class Markdown(griffe.Extension):
    """Applies :func:`markdown` to everything that mkdocstrings reads."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
