"""Grid search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

from sightsmith.plugin import Problem, SearchSpace, Suggestion, Tuner, UserError


class Grid(Tuner):
    """Every combination of the parameters' choices; the last parameter varies fastest."""

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        if ranges := [parameter for parameter in search.space if not parameter.choices]:
            raise UserError("A grid search needs a list of values for each parameter, unlike these:",
                            problems=[Problem(str(parameter)) for parameter in ranges],
                            hint=f"list the values: {ranges[0].key}=A,B; or search with tuner=random")
        self._asked = False

    @property
    def epochs(self) -> int:
        return math.prod(len(parameter.choices) for parameter in self.search.space) * self.search.epochs

    @property
    def runs(self) -> int:
        return math.prod(len(parameter.choices) for parameter in self.search.space)

    def ask(self) -> Sequence[Suggestion]:
        if self._asked:
            return []
        self._asked = True
        names = [parameter.name for parameter in self.search.space]
        return [Suggestion(dict(zip(names, values, strict=True)))
                for values in product(*(parameter.choices for parameter in self.search.space))]
