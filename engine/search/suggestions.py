"""Whether a tuner keeps its contract: what it suggests has the keys and the values of the search space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sightsmith.core.contracts.records import TunerRecord
from sightsmith.core.util.errors import PluginError, Problem
from sightsmith.engine.search.search_space import Parameter
from sightsmith.engine.search.tuner import Suggestion


def ensure_valid(suggestions: Any, space: Sequence[Parameter], record: TunerRecord) -> Sequence[Suggestion]:
    """``suggestions`` of the tuner ``record``, if they are some. Raises PluginError with every wrong key and value,
    before a trial trains for nothing."""
    if not isinstance(suggestions, Sequence):
        problems = [Problem(f"it suggests {_shown(suggestions)}; expected is a sequence of Suggestion")]
    else:
        problems = [problem for item in suggestions for problem in _problems(item, space)]
    if problems:
        raise PluginError(f"plugin {record.provider}: the tuner {record.name!r} suggests what cannot be tried:",
                          problems=dict.fromkeys(problems),
                          hint="choose another tuner (`sightsmith list tuners`), and report it to the plugin's author")
    return suggestions  # type: ignore[no-any-return]


def _problems(item: Any, space: Sequence[Parameter]) -> Iterator[Problem]:
    if not isinstance(item, Suggestion):
        yield Problem(f"it suggests {_shown(item)}; expected is a Suggestion")
        return
    for parameter in space:
        if parameter.name not in item.values:
            yield Problem(f"{parameter.name} is missing; expected is {parameter.expected}")
        elif not parameter.holds(value := item.values[parameter.name]):
            yield Problem(f"{parameter.name}={_shown(value)}; expected is {parameter.expected}")
    for key in item.values.keys() - {parameter.name for parameter in space}:
        yield Problem(f"{key} is not searched")
    for name, least in (("epochs", 1), ("parent", 0)):
        value = getattr(item, name)
        if value is not None and (type(value) is not int or value < least):
            yield Problem(f"Suggestion.{name}={_shown(value)}; expected is None or a whole number from {least}")


def _shown(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"
