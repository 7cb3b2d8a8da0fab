"""All combinations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from sightsmith.core.contracts.search_space import count
from sightsmith.core.contracts.tuner import Proposal, Search, Tuner
from sightsmith.core.util.errors import Problem, UserError


class Grid(Tuner):
    """Every combination of the axes' choices, the last axis fastest. Its jobs are as many as there are."""

    def __init__(self, search: Search) -> None:
        super().__init__(search)
        if ranges := [axis for axis in search.space if not axis.choices]:
            raise UserError("A grid has a list of values on each axis, and these have no end of them:",
                            problems=[Problem(str(axis)) for axis in ranges],
                            hint=f"list the values: {ranges[0].key}=A,B; or search with tuner=random")
        self._asked = False

    @property
    def epochs(self) -> int:
        return count(self.search.space) * self.search.epochs

    @property
    def runs(self) -> int:
        return count(self.search.space)

    def ask(self) -> Sequence[Proposal]:
        if self._asked:
            return []
        self._asked = True
        names = [axis.name for axis in self.search.space]
        return [Proposal(dict(zip(names, values, strict=True)))
                for values in product(*(axis.choices for axis in self.search.space))]
