"""Settings in Python, ``train(task="detection", hyper={"epochs": 3})``, as overrides."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from sightsmith.core.contracts.keys import walk
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.literal import quoted

WORD, LITERAL = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII), re.compile("null|none|true|false|nan|inf", re.IGNORECASE)
"""Text that Hydra reads as it is, so that what resumes a run can be read too, except for what it takes for a value."""


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """``settings``, nested or with dotted keys, as overrides that set these very values: text is no sweep and has no
    syntax. Raises UserError for a value that no key can have."""
    types = {key: str(entry.type) for key, entry, _ in walk()}
    return [override for key, value in settings.items() for override in _overrides(key, value, types)]


def _overrides(key: str, value: Any, types: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{key}={_value(key, value)}"
    elif key in types and not types[key].startswith("dict"):  # a mapping that is typed as text
        yield f"{key}={quoted(json.dumps(dict(value), ensure_ascii=False))}"
    elif not value and key not in types and "." in key:  # a name without options
        yield f"{key}={{}}"
    else:
        new = "++" if key in types else ""  # names that the schema leaves open
        for name, item in value.items():
            yield from (new + override for override in _overrides(f"{key}.{name}", item, types))


def _value(key: str, value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    elif hasattr(value, "tolist"):  # numbers and arrays of NumPy and PyTorch
        value = value.tolist()
    if isinstance(value, float):
        return repr(float(value))  # inf and nan as Hydra reads them
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        return text if WORD.fullmatch(text) and not LITERAL.fullmatch(text) else quoted(text)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_value(key, item) for item in value)}]"
    raise UserError(f"{key}={value!r} is neither text nor a number, a truth value, None, a list or a mapping")
