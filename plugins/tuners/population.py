"""Population based training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sightsmith.core.errors import Problem, UserError
from sightsmith.core.resume import CHANGEABLE
from sightsmith.core.schema import is_among
from sightsmith.core.space import Value
from sightsmith.core.tuner import Proposal, Scored, Search, Tuner, ranked

PERTURB = (0.8, 1.2)


class Population(Tuner):
    """Members that train side by side, and at the end of each generation but the last, the worst take over weights
    and values of the best and go on with others.

    Jaderberg et al. 2017, with their truncation selection: a member of the lowest ``quantile`` copies one of the
    highest, drawn at random; each value is then drawn anew with the probability ``resample``, else multiplied by 0.8
    or 1.2. The ``generations`` are of equal length. The first member starts with the values that are given, and alone
    it is trained with them.
    """

    def __init__(self, search: Search) -> None:
        super().__init__(search)
        problems = [Problem(f"tuner.options.{key}={search.options[key]} is not {kind}") for key, kind, right in (
            ("generations", "a whole number from 1", lambda value: isinstance(value, int) and value >= 1),
            ("quantile", "between 0 and 0.5", lambda value: 0 < value <= 0.5),
            ("resample", "from 0 to 1", lambda value: 0 <= value <= 1)) if not right(search.options[key])]
        problems += [Problem(f"{axis.name} cannot change in the middle of a training") for axis in search.space
                     if not is_among(axis.name, CHANGEABLE)]
        if problems:
            raise UserError("Population based training cannot search this:", problems=problems,
                            hint=f"what can change: {', '.join(CHANGEABLE)}; tuner=tpe searches everything")
        generations = min(search.options["generations"], search.epochs) if search.jobs > 1 else 1
        self._ends = [round(search.epochs * number / generations) for number in range(1, generations + 1)]
        self._generations = generations
        self._generator = np.random.default_rng(search.seed)
        self._members: list[Scored] = []

    @property
    def runs(self) -> int:
        return self.search.jobs * self._generations

    def ask(self) -> Sequence[Proposal]:
        if not self._ends:
            return []
        end = self._ends.pop(0)
        until = end if self._ends else None
        if not self._members:
            drawn = [{axis.name: axis.draw(self._generator) for axis in self.search.space}
                     for _ in range(self.search.jobs)]
            drawn[0] |= {axis.name: axis.number(self.search.given[axis.name]) for axis in self.search.space
                         if not axis.choices and axis.holds(self.search.given.get(axis.name))}
            return [Proposal(values, until) for values in drawn]
        best_first = ranked(self._members)
        if not best_first:
            return []
        few = max(int(self.search.options["quantile"] * len(self._members)), 1)
        best = best_first[:few]
        last = {item.number for item in best_first[max(len(self._members) - few, 1):]}
        proposals = []
        for member in self._members:
            if member.score is not None and member.number not in last:
                proposals.append(Proposal(member.proposal.values, until, member.number))
            else:
                parent = best[int(self._generator.integers(len(best)))]
                proposals.append(Proposal(self._explored(parent.proposal.values), until, parent.number))
        return proposals

    def tell(self, scored: Sequence[Scored]) -> None:
        self._members = list(scored)

    def _explored(self, values: Mapping[str, Value]) -> dict[str, Value]:
        explored: dict[str, Value] = {}
        for axis in self.search.space:
            value = values[axis.name]
            if self._generator.random() < self.search.options["resample"]:
                explored[axis.name] = axis.draw(self._generator)
            elif isinstance(value, str):
                near = axis.choices.index(value) + int(self._generator.choice((-1, 1)))
                explored[axis.name] = axis.choices[min(max(near, 0), len(axis.choices) - 1)]
            else:
                explored[axis.name] = axis.number(value * self._generator.choice(PERTURB))
        return explored
