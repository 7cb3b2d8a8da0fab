"""Successive halving."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightsmith.plugin import SearchSpace, Suggestion, TrialResult, Tuner, UserError, ranked


class Halving(Tuner):
    """Short runs, the best of which continue to ``factor`` times as many epochs, until one is left.

    Jamieson and Talwalkar 2016. With a factor of 2 and 8 runs: 8, 4, 2 and 1 runs for an eighth, a quarter, half and
    all of the epochs.
    """

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        factor = factor_of(search)
        counts = [search.trials]
        while counts[-1] > 1:
            counts.append(max(counts[-1] // factor, 1))
        rungs = [max(round(search.epochs / factor**power), 1) for power in reversed(range(len(counts)))]
        # With fewer epochs than rungs, the first rungs coincide.
        self._rungs = [(number, epochs) for number, epochs, after in zip(counts, rungs, [*rungs[1:], None], strict=True)
                       if epochs != after]
        if len(self._rungs) < len(counts):
            self._rungs[0] = (search.trials, self._rungs[0][1])
        self._rung = 0
        self._scored: list[TrialResult] = []

    @property
    def epochs(self) -> int:
        before = [0, *(epochs for _, epochs in self._rungs)]
        return sum(number * (epochs - done) for (number, epochs), done in zip(self._rungs, before, strict=False))

    @property
    def runs(self) -> int:
        return sum(number for number, _ in self._rungs)

    def ask(self) -> Sequence[Suggestion]:
        if self._rung == len(self._rungs):
            return []
        number, epochs = self._rungs[self._rung]
        until = None if epochs == self.search.epochs else epochs
        self._rung += 1
        if self._rung == 1:
            generator = np.random.default_rng(self.search.seed)
            return [Suggestion(self.search.sample(generator), until) for _ in range(number)]
        return [Suggestion(item.suggestion.values, until, item.number) for item in ranked(self._scored)[:number]]

    def tell(self, scored: Sequence[TrialResult]) -> None:
        self._scored = list(scored)


def factor_of(search: SearchSpace) -> int:
    """One in ``factor`` runs continues, to ``factor`` times the epochs. Raises UserError for an invalid option."""
    factor = search.options["factor"]
    if not isinstance(factor, int) or factor < 2:
        raise UserError(f"tuner.options.factor={factor} must be a whole number of at least 2")
    return factor
