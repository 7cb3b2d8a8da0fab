"""Text that is taken as typed: paths, names and descriptions need no quotes, whatever characters they have.

Hydra's grammar gives a meaning to commas, brackets and much else, and OmegaConf gives one to ``${...}``. For the keys
that the schema marks with ``literal``, :func:`as_typed` quotes the value wherever that meaning would change it;
everything after it sees Hydra's grammar only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from sightsmith.core.contracts.keys import literal_kind, walk
from sightsmith.core.contracts.schema import LiteralKind
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.files import typed_path

T = TypeVar("T")

WORDS = ("sample", "published", "backbone", "none", "null", "true", "false")
"""Values of such keys that are no paths, whatever files there are."""
GROUPS: Mapping[str, LiteralKind] = {"preset": "path", "base_run": "path"}
"""Groups whose options are files and folders."""


def as_typed(overrides: Sequence[str], plugins: Plugins, *, multirun: bool = False) -> list[str]:
    """``overrides`` in Hydra's grammar, with the values of literal keys quoted where it would read them differently.

    Hydra's meaning is kept for three values, unless they name an existing file or folder: one that is quoted as a
    whole; ``null`` where a key may be none; and in a search or with ``multirun``, one that is a sweep.
    """
    kinds = _literal_keys(plugins)
    sweeps = multirun or any(text == "hydra.mode=MULTIRUN" or text.startswith("tuner=") and _searches(text, plugins)
                             for text in overrides)
    return [_as_typed(text, kinds, sweeps) for text in overrides]


def from_anywhere(overrides: Sequence[str], plugins: Plugins) -> list[str]:
    """``overrides``, in Hydra's grammar, that mean the same in every folder: what they name by a relative path and is
    there, and the folder for runs, has its absolute path. Sweeps over paths are left as they are."""
    kinds = _literal_keys(plugins)
    found = []
    for text in overrides:
        key = text.lstrip("+").partition("=")[0]
        parsed = _parsed(text) if key in kinds and kinds[key][0] == "path" else None
        value = None if parsed is None or parsed.is_sweep_override() else parsed.value()
        absolute = absolute_path(key, value) if isinstance(value, str) else None
        found.append(text if absolute is None else _as_typed(f"{text.partition('=')[0]}={absolute}", kinds, False))
    return found


def absolute_path(key: str, value: str) -> str | None:
    """The path that ``value`` of the literal ``key`` is from any folder; None if it is none, or nothing is there."""
    path = typed_path(value)
    names = value in WORDS or key in GROUPS and not path.suffix and os.sep not in value
    if names or key != "output_dir" and not os.path.lexists(path):
        return None
    return os.path.abspath(path)


def path_keys() -> list[str]:
    """The keys of the schema whose values are paths."""
    return [key for key, entry, _ in walk() if literal_kind(entry) == "path"]


def quoted(text: str | Path) -> str:
    """``text`` as the value of an override; it may have any character."""
    return QuotedString(without_interpolation(str(text)), Quote.single).with_quotes()


def unquoted(text: str) -> str:
    """The path ``text`` without the quotes that enclose all of it, unless it exists with them."""
    found = _parsed(f"key={text}")
    quotes = found is not None and isinstance(found._value, QuotedString) and not os.path.lexists(text)
    return str(found.value()) if found is not None and quotes else text


def is_sweep(text: str) -> bool:
    """Whether the path ``text`` is several, ``a,b``; not if it exists."""
    found = _parsed(f"key={text}")
    return found is not None and found.is_sweep_override() and not os.path.lexists(typed_path(text))


def without_interpolation(value: T) -> T:
    """``value``, a text or nested mappings and lists, with every ``${`` escaped: OmegaConf takes it as text."""
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)  # type: ignore[return-value]
    if isinstance(value, Mapping):
        return {key: without_interpolation(item) for key, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, (list, tuple)):
        return [without_interpolation(item) for item in value]  # type: ignore[return-value]
    return value


def validate_no_interpolation(content: Any, what: str = "it") -> None:
    """Raises ValueError, which names ``what``, for a text in ``content`` that OmegaConf would resolve, also from the
    environment."""
    for value in _texts(content):
        if "${" in value:
            raise ValueError(f"{what} has an interpolation ${{...}}: {value}")


def _texts(value: Any) -> Iterator[str]:
    """All texts in ``value``, keys too."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _literal_keys(plugins: Plugins) -> dict[str, tuple[LiteralKind, bool]]:
    """The kind of each literal key, and whether it may be none."""
    found = {key: (kind, True) for key, kind in GROUPS.items()}
    for key, entry, _ in walk():
        if (kind := literal_kind(entry)) is not None:
            found[key] = kind, "None" in str(entry.type)
    found |= {f"logger.{name}.{option}": ("text", False) for name, record in plugins.loggers.items()
              for option, default in record.options.items() if isinstance(default, str)}
    return found


def _as_typed(text: str, kinds: Mapping[str, tuple[LiteralKind, bool]], sweeps: bool) -> str:
    key, equals, value = text.partition("=")
    kind, optional = kinds.get(key.lstrip("+"), (None, False))
    if kind is None or not equals or not value:
        return text
    parsed = _parsed(text)
    if parsed is not None:
        same = parsed.value() == value and "${" not in value
        hydras = (isinstance(parsed._value, QuotedString) or optional and value == "null"
                  or sweeps and parsed.is_sweep_override())
        if same or hydras and not (kind == "path" and os.path.lexists(typed_path(value))):
            return text
    return f"{key}={quoted(value)}"


def _parsed(text: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None


def _searches(text: str, plugins: Plugins) -> bool:
    record: Any = plugins.tuners.get(text.partition("=")[2].strip("'\""))
    return record is not None and bool(record.searches)
