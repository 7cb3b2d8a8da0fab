"""The values of a population: initial ones, and those after an exploit step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sightsmith.plugin import CHANGEABLE, Problem, SearchSpace, UserError, Value, is_among

PERTURB = (0.8, 1.2)


class Exploration:
    """Samples the values of a population (Jaderberg et al. 2017).

    When a member copies a better one, each value is resampled with the probability ``resample``, else multiplied by 0.8
    or 1.2; choices move to a neighbour. The constructor raises UserError for invalid options and for keys that cannot
    change during training.
    """

    def __init__(self, search: SearchSpace) -> None:
        problems = [Problem(f"tuner.options.{key}={search.options[key]} must be {kind}") for key, kind, valid in (
            ("generations", "a whole number of at least 1", lambda value: isinstance(value, int) and value >= 1),
            ("quantile", "between 0 and 0.5", lambda value: 0 < value <= 0.5),
            ("resample", "from 0 to 1", lambda value: 0 <= value <= 1)) if not valid(search.options[key])]
        problems += [Problem(f"{parameter.name} cannot change during training")
                     for parameter in search.space if not is_among(parameter.name, CHANGEABLE)]
        if problems:
            raise UserError("Population based training cannot run this search:", problems=problems,
                            hint=f"it can change {', '.join(CHANGEABLE)}; tuner=tpe searches any key")
        self._search = search
        self._generator = np.random.default_rng(search.seed)

    @property
    def ends(self) -> list[int]:
        """The last epoch of each generation; all are equally long."""
        search = self._search
        generations = min(search.options["generations"], search.epochs) if search.trials > 1 else 1
        return [round(search.epochs * number / generations) for number in range(1, generations + 1)]

    def starts(self) -> list[dict[str, Value]]:
        """The initial values of each member; the first gets the configured ones."""
        sampled = [self._search.sample(self._generator) for _ in range(self._search.trials)]
        configured = self._search.configured
        sampled[0] |= {parameter.name: parameter.number(configured[parameter.name]) for parameter in self._search.space
                     if not parameter.choices and parameter.holds(configured.get(parameter.name))}
        return sampled

    def pick(self, number: int) -> int:
        """A uniformly random index below ``number``."""
        return int(self._generator.integers(number))

    def explore(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values of a member that copies one with ``values``."""
        explored: dict[str, Value] = {}
        for parameter in self._search.space:
            value = values[parameter.name]
            if self._generator.random() < self._search.options["resample"]:
                explored[parameter.name] = parameter.sample(self._generator)
            elif isinstance(value, str):
                near = parameter.choices.index(value) + int(self._generator.choice((-1, 1)))
                explored[parameter.name] = parameter.choices[min(max(near, 0), len(parameter.choices) - 1)]
            else:
                explored[parameter.name] = parameter.number(value * self._generator.choice(PERTURB))
        return explored
