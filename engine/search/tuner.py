"""The contract between a search and its tuner, which suggests trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.engine.search.search_space import Parameter, Value

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Suggestion:
    """A trial to run.

    ``values`` are parameter values by name. ``epochs`` is the epoch after which the trial pauses, counted from the
    start of training, including that of its parent; None: it trains to the end. ``parent`` is the number of the trial
    from whose last checkpoint it continues, with weights and optimizer.
    """

    values: Mapping[str, Value]
    epochs: int | None = None
    parent: int | None = None


@dataclass(frozen=True)
class TrialResult:
    """The result of trial ``number``: its best score so far (higher is better), or None if it failed or the score is
    undefined."""

    number: int
    suggestion: Suggestion
    score: float | None


@dataclass(frozen=True)
class SearchSpace:
    """The task of a tuner: ``trials`` trials, or members of a population, of at most ``epochs`` each, ``parallel`` at
    a time, each on ``devices`` devices. The same ``seed`` gives the same suggestions."""

    space: tuple[Parameter, ...]
    trials: int
    epochs: int
    seed: int
    parallel: int = 1
    configured: Mapping[str, Any] = field(default_factory=dict)
    """values of the space's keys without a search"""
    options: Mapping[str, Any] = field(default_factory=dict)
    devices: float = 1.0

    def sample(self, generator: Generator) -> dict[str, Value]:
        """Random values for all parameters, by name."""
        return {parameter.name: parameter.sample(generator) for parameter in self.space}


class SearchMethod:
    """Base class of tuners. The constructor raises UserError if it cannot search this space."""

    def __init__(self, search: SearchSpace) -> None:
        self.search = search

    @property
    def epochs(self) -> int:
        """Total over all trials."""
        return self.search.trials * self.search.epochs

    @property
    def runs(self) -> int:
        """The number of trials if none fails."""
        return self.search.trials

    @property
    def at_once(self) -> int:
        """The number of trials that run at a time."""
        return self.search.parallel


class Tuner(SearchMethod, ABC):
    """Suggests trials and receives their results until it suggests no more.

    It must be deterministic given its search and results: a resumed search replays them.
    """

    @abstractmethod
    def ask(self) -> Sequence[Suggestion]:
        """The next trials, run in parallel where possible; none when done."""

    def tell(self, scored: Sequence[TrialResult]) -> None:
        """The results of the last suggestions, in the same order."""


@dataclass(frozen=True)
class Asked:
    """A trial that an asynchronous tuner has started or finished for one of its members."""

    number: int
    member: int
    suggestion: Suggestion
    done: bool


Train = Callable[[int, Suggestion], TrialResult]
"""Runs the next trial of a member, a number from 0, in the calling process, and returns when it has finished. The same
member and suggestion are the same trial: it is resumed if started, and not repeated if finished. It can be pickled and
sent to any machine with this environment and file system."""


class AsynchronousTuner(SearchMethod, ABC):
    """Runs trials on its own engine, each as soon as there is room, and decides on each as soon as it has finished. A
    search need not be reproducible."""

    @abstractmethod
    def run(self, train: Train, earlier: Sequence[Asked], on_finished: Callable[[int], bool], scratch: Path) -> None:
        """Run all trials. ``earlier`` are those of an interrupted search. Call ``on_finished`` in this process with the
        number of each finished trial; if it returns False, stop. ``scratch`` is an empty folder that all machines
        share; it is removed afterwards."""


def ranked(scored: Iterable[TrialResult]) -> list[TrialResult]:
    """The results with a score, best first; ties by number."""
    found = [(-item.score, item.number, item) for item in scored if item.score is not None]
    return [item for _, _, item in sorted(found, key=lambda entry: entry[:2])]
