"""``docs/hooks.md`` has every hook, in order, with its arguments."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from sightsmith.core.plugins import hookspecs

PAGE = Path(__file__).parents[3] / "docs" / "hooks.md"


def test_every_hook_is_on_the_page():
    described = re.findall(r"^### `(\w+)\(([^)]*)\)`$", PAGE.read_text(), re.MULTILINE)
    specified = [(name, ", ".join(inspect.signature(value).parameters)) for name, value in vars(hookspecs).items()
                 if name.startswith("sightsmith_")]
    assert described == specified
