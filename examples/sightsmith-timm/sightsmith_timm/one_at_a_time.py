"""Key by key: all values of one, with the best so far of the others."""

from __future__ import annotations

from collections.abc import Sequence

from sightsmith.core.contracts.tuner import Proposal, Scored, Search, Tuner
from sightsmith.core.util.errors import Problem, UserError


class OneAtATime(Tuner):
    """Coordinate search: as many runs as there are values in all, not combinations, less those already made."""

    def __init__(self, search: Search) -> None:
        super().__init__(search)
        if ranges := [axis for axis in search.space if not axis.choices]:
            raise UserError("one_at_a_time goes through lists of values, and these are ranges:",
                            problems=[Problem(str(axis)) for axis in ranges], hint=f"list them: {ranges[0].key}=A,B")
        self._best = {axis.name: axis.choices[0] for axis in search.space}
        self._score: float | None = None
        self._axes = list(search.space)

    @property
    def runs(self) -> int:
        return 1 + sum(len(axis.choices) - 1 for axis in self.search.space)

    @property
    def epochs(self) -> int:
        return self.runs * self.search.epochs

    def ask(self) -> Sequence[Proposal]:
        if not self._axes:
            return []
        axis = self._axes.pop(0)
        first = len(self._axes) == len(self.search.space) - 1
        return [Proposal({**self._best, axis.name: choice}) for choice in axis.choices
                if first or choice != self._best[axis.name]] or self.ask()

    def tell(self, scored: Sequence[Scored]) -> None:
        for item in scored:
            if item.score is not None and (self._score is None or item.score > self._score):
                self._score = item.score
                self._best = {name: str(value) for name, value in item.proposal.values.items()}
