"""The page of hooks has every hook, in order, with its arguments."""

from __future__ import annotations

import inspect
import re

from generate import PAGES

from sightsmith.core.plugins import hookspecs


def test_every_hook_is_on_the_page():
    page = PAGES["hooks.md"]()
    described = re.findall(r"^## `(\w+)`$", page, re.MULTILINE)
    specified = {name: value for name, value in vars(hookspecs).items() if name.startswith("sightsmith_")}
    assert described == list(specified)
    for name, value in specified.items():
        [arguments] = re.findall(rf"^```python\n{name}\((.*)\) -> .*\n```$", page, re.MULTILINE)
        assert re.findall(r"(\w+): ", arguments) == list(inspect.signature(value).parameters)
        assert (inspect.getdoc(value) or "").splitlines()[0].split("``")[0] in page
