"""The keys of the configuration: all of them, in groups, and how they are written in an override."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from sightsmith.core.contracts.schema import Config, LiteralKind


def walk(config: Any = Config, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Every leaf as ``(dotted key, field, value)``; the value is None for the class itself."""
    for entry in dataclasses.fields(config):
        nested = entry.default_factory if dataclasses.is_dataclass(entry.default_factory) else None
        value = None if isinstance(config, type) else getattr(config, entry.name)
        if nested is not None:
            yield from walk(nested if isinstance(config, type) else value, f"{prefix}{entry.name}.")
        else:
            yield f"{prefix}{entry.name}", entry, value


def literal_kind(entry: dataclasses.Field[Any]) -> LiteralKind | None:
    """Whether the key of ``entry`` is taken as typed, as a path or as other text; None if not."""
    return entry.metadata.get("literal")


def is_among(key: str, names: Iterable[str]) -> bool:
    """Whether ``key`` is one of ``names``, or in a group that is."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def format_override(value: Any) -> str:
    """``value`` as written in an override."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
