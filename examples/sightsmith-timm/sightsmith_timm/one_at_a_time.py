"""Coordinate search: tries all values of one key, with the best so far for the others."""

from __future__ import annotations

from collections.abc import Sequence

from sightsmith.plugin import Problem, SearchSpace, Suggestion, TrialResult, Tuner, UserError


class OneAtATime(Tuner):
    """Goes through the keys in order; the number of runs is the sum, not the product, of the numbers of values."""

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        if ranges := [parameter for parameter in search.space if not parameter.choices]:
            raise UserError("one_at_a_time needs lists of values, but these are ranges:",
                            problems=[Problem(str(parameter)) for parameter in ranges],
                            hint=f"list them: {ranges[0].key}=A,B")
        self._best = {parameter.name: parameter.choices[0] for parameter in search.space}
        self._score: float | None = None
        self._remaining = list(search.space)

    @property
    def runs(self) -> int:
        return 1 + sum(len(parameter.choices) - 1 for parameter in self.search.space)

    @property
    def epochs(self) -> int:
        return self.runs * self.search.epochs

    def ask(self) -> Sequence[Suggestion]:
        if not self._remaining:
            return []
        parameter = self._remaining.pop(0)
        first = len(self._remaining) == len(self.search.space) - 1
        return [Suggestion({**self._best, parameter.name: choice}) for choice in parameter.choices
                if first or choice != self._best[parameter.name]] or self.ask()

    def tell(self, scored: Sequence[TrialResult]) -> None:
        for item in scored:
            if item.score is not None and (self._score is None or item.score > self._score):
                self._score = item.score
                self._best = {name: str(value) for name, value in item.suggestion.values.items()}
