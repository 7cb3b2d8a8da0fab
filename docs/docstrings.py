"""For mkdocstrings: the docstrings of the program as Markdown."""

from __future__ import annotations

from typing import Any

import griffe
from markup import markdown


class Markdown(griffe.Extension):
    """Applies :func:`markup.markdown` to everything that mkdocstrings reads."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
