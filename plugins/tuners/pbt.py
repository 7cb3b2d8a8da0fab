"""The values of a population: what its members start with, and with which they go on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sightsmith.plugin import CHANGEABLE, Problem, SearchSpace, UserError, Value, is_among

PERTURB = (0.8, 1.2)


class Exploration:
    """Draws the values of a population, as Jaderberg et al. 2017 do.

    When a member goes on with those of a better one, each value is drawn anew with the probability ``resample``, else
    multiplied by 0.8 or 1.2; of choices a neighbour is taken. The constructor raises UserError for what is no option of
    a population, and for what cannot change in the middle of a training.
    """

    def __init__(self, search: SearchSpace) -> None:
        problems = [Problem(f"tuner.options.{key}={search.options[key]} is not {kind}") for key, kind, right in (
            ("generations", "a whole number from 1", lambda value: isinstance(value, int) and value >= 1),
            ("quantile", "between 0 and 0.5", lambda value: 0 < value <= 0.5),
            ("resample", "from 0 to 1", lambda value: 0 <= value <= 1)) if not right(search.options[key])]
        problems += [Problem(f"{parameter.name} cannot change in the middle of a training")
                     for parameter in search.space if not is_among(parameter.name, CHANGEABLE)]
        if problems:
            raise UserError("Population based training cannot search this:", problems=problems,
                            hint=f"what can change: {', '.join(CHANGEABLE)}; tuner=tpe searches everything")
        self._search = search
        self._generator = np.random.default_rng(search.seed)

    @property
    def ends(self) -> list[int]:
        """The epochs with which the generations end, which are of equal length."""
        search = self._search
        generations = min(search.options["generations"], search.epochs) if search.trials > 1 else 1
        return [round(search.epochs * number / generations) for number in range(1, generations + 1)]

    def starts(self) -> list[dict[str, Value]]:
        """Of each member the values; the first has those that are given."""
        drawn = [self._search.sample(self._generator) for _ in range(self._search.trials)]
        given = self._search.given
        drawn[0] |= {parameter.name: parameter.number(given[parameter.name]) for parameter in self._search.space
                     if not parameter.choices and parameter.holds(given.get(parameter.name))}
        return drawn

    def pick(self, number: int) -> int:
        """One of so many, each as likely."""
        return int(self._generator.integers(number))

    def explore(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """What one goes on with that takes over from a member of these ``values``."""
        explore: dict[str, Value] = {}
        for parameter in self._search.space:
            value = values[parameter.name]
            if self._generator.random() < self._search.options["resample"]:
                explore[parameter.name] = parameter.sample(self._generator)
            elif isinstance(value, str):
                near = parameter.choices.index(value) + int(self._generator.choice((-1, 1)))
                explore[parameter.name] = parameter.choices[min(max(near, 0), len(parameter.choices) - 1)]
            else:
                explore[parameter.name] = parameter.number(value * self._generator.choice(PERTURB))
        return explore
