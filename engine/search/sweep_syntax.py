"""Parses Hydra's sweep syntax into a search space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sightsmith.core.util.errors import Problem, UserError
from sightsmith.engine.search.search_space import Parameter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def parse_parameter(override: Override) -> Parameter:
    """The parameter that ``override`` sweeps. Raises UserError for an invalid range."""
    key = override.get_key_element()
    if override.is_discrete_sweep():
        return Parameter(key, tuple(override.sweep_string_iterator()))
    interval: Any = override.value()
    low, high, log = interval.start, interval.end, "log" in interval.tags
    if not low < high or log and low <= 0:
        raise UserError(f"{override.input_line} is not a range: it must increase" + (" and be above 0" if log else ""))
    return Parameter(key, (), low, high, log, isinstance(low, int) and isinstance(high, int))


def parse_space(space: Mapping[str, str], origin: str) -> list[Parameter]:
    """The parameters of ``space``, which maps keys to sweeps; ``origin`` starts the message of a UserError."""
    parameters, problems = [], []
    for key, text in space.items():
        try:
            [override] = OverridesParser.create().parse_overrides([f"{key}={text}"])
            if not override.is_sweep_override():
                raise UserError(f"{key}: {text} is a single value")
            parameters.append(parse_parameter(override))
        except (HydraException, UserError) as error:
            problems.append(Problem(str(error).splitlines()[0]))
    if problems:
        raise UserError(f"{origin} has entries that are not sweeps:", problems=problems,
                        hint="for example 0.001,0.01 or interval(0.8,0.99) or tag(log,interval(1e-5,0.1))")
    return parameters


def as_distribution(parameter: Parameter) -> BaseDistribution:
    """The parameter as an Optuna distribution."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    if parameter.whole:
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
