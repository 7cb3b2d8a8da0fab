"""Population based training."""

from __future__ import annotations

from collections.abc import Sequence

from sightsmith.plugin import SearchSpace, Suggestion, TrialResult, Tuner, ranked
from sightsmith.plugins.tuners.pbt import Exploration


class Population(Tuner):
    """Members train in parallel; after each generation but the last, the worst copy weights and values of the best and
    perturb the values.

    Jaderberg et al. 2017, with truncation selection: a member of the lowest ``quantile`` copies a random one of the
    highest. The first member starts with the configured values; a population of one just trains with them.
    """

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        self._exploration = Exploration(search)
        self._ends = self._exploration.ends
        self._generations = len(self._ends)
        self._members: list[TrialResult] = []

    @property
    def runs(self) -> int:
        return self.search.trials * self._generations

    def ask(self) -> Sequence[Suggestion]:
        if not self._ends:
            return []
        end = self._ends.pop(0)
        until = end if self._ends else None
        if not self._members:
            return [Suggestion(values, until) for values in self._exploration.starts()]
        best_first = ranked(self._members)
        if not best_first:
            return []
        few = max(int(self.search.options["quantile"] * len(self._members)), 1)
        best = best_first[:few]
        last = {item.number for item in best_first[max(len(self._members) - few, 1):]}
        suggestions = []
        for member in self._members:
            if member.score is not None and member.number not in last:
                suggestions.append(Suggestion(member.suggestion.values, until, member.number))
            else:
                parent = best[self._exploration.pick(len(best))]
                suggestions.append(Suggestion(self._exploration.explore(parent.suggestion.values), until,
                                              parent.number))
        return suggestions

    def tell(self, scored: Sequence[TrialResult]) -> None:
        self._members = list(scored)
