"""Random search and TPE, by optuna's samplers."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from sightsmith.plugin import SearchSpace, Suggestion, TrialResult, Tuner, as_distribution

UNINFORMED = 3
"""One in this many runs of a Parzen estimator is random, at first; at most ten, as in optuna."""


class Sampling(Tuner):
    """Asks an optuna study for the values of each run."""

    def __init__(self, search: SearchSpace) -> None:
        super().__init__(search)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study = optuna.create_study(direction="maximize", sampler=self.sampler())
        self._distributions = {parameter.name: as_distribution(parameter) for parameter in search.space}
        self._pending: list[optuna.Trial] = []
        self._left = search.trials

    @abstractmethod
    def sampler(self) -> BaseSampler:
        """The optuna sampler."""

    @property
    def batch(self) -> int:
        """The number of runs suggested before any scores are known."""
        return self.search.parallel

    def ask(self) -> Sequence[Suggestion]:
        number = min(self.batch, self._left)
        self._left -= number
        self._pending = [self._study.ask(self._distributions) for _ in range(number)]
        parameters = {parameter.name: parameter for parameter in self.search.space}
        return [Suggestion({name: value if parameters[name].choices else parameters[name].number(value)
                          for name, value in trial.params.items()}) for trial in self._pending]

    def tell(self, scored: Sequence[TrialResult]) -> None:
        for trial, result in zip(self._pending, scored, strict=True):
            if result.score is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, result.score)


class RandomSearch(Sampling):
    """Values sampled independently of one another and of all scores (Bergstra and Bengio 2012)."""

    def sampler(self) -> BaseSampler:
        return RandomSampler(seed=self.search.seed)

    @property
    def batch(self) -> int:
        return self.search.trials


class ParzenEstimator(Sampling):
    """Values sampled where good runs are dense and bad ones sparse (Bergstra et al. 2011)."""

    def sampler(self) -> BaseSampler:
        # The constant liar keeps simultaneous suggestions apart.
        return TPESampler(seed=self.search.seed, n_startup_trials=min(10, max(1, self.search.trials // UNINFORMED)),
                          constant_liar=self.search.parallel > 1)
