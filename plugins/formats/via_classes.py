"""Which attribute of VIA is the class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightsmith.plugin import read_flag

USUAL = ("class", "label", "category", "name", "type", "object", "classname", "class_name", "labels", "classes")


@dataclass(frozen=True)
class ClassAttribute:
    """The attribute called ``name``; ``options`` are the values that a project offers."""

    name: str
    options: tuple[str, ...] = ()

    def values(self, attributes: Mapping[str, Any]) -> Iterator[str]:
        """The values in ``attributes``: a text, or the boxes that are ticked."""
        yield from _values(attributes.get(self.name))


def choose_attribute(found: Sequence[Mapping[str, Any]], declared: Mapping[str, Any], but: Collection[str] = (),
                     *, usual_only: bool = False) -> ClassAttribute | None:
    """The attribute that is the class in ``found``; ``declared`` are a project's attributes, ``but`` no candidates.

    One with a usual name comes first, and of these, and of the others, one that has a value everywhere.
    """
    names = [name for name in dict.fromkeys([*declared, *(name for item in found for name in item)]) if name not in but]
    filled = {name: sum(any(_values(item.get(name))) for item in found) for name in names}
    candidates = [name for name in names if filled[name] and (name.strip().lower() in USUAL or not usual_only)]
    if not candidates:
        return None

    def rank(name: str) -> tuple[bool, int, int]:
        usual = USUAL.index(name.strip().lower()) if name.strip().lower() in USUAL else len(USUAL)
        return filled[name] < len(found), usual, -filled[name]

    best = min(candidates, key=rank)
    options = declared.get(best)
    offered = options.get("options") if isinstance(options, dict) else None
    return ClassAttribute(best, tuple(name for name in offered if name.strip()) if isinstance(offered, dict) else ())


def _values(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (name.strip() for name, ticked in value.items() if read_flag(ticked) and name.strip())
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool) and str(value).strip():
        yield str(value).strip()
