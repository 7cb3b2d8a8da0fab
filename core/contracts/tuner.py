"""The contracts between a search and what decides on its runs: tuners, which plugins provide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.search_space import Parameter, Value

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Suggestion:
    """A run to make.

    ``values`` are of the search's parameters, by name. ``epochs`` is the epoch after which the run pauses, counted from
    the beginning of its training, also where it goes on from another; None: it trains to its end. ``parent`` is the
    number of the run from whose last checkpoint it goes on, with weights and optimizer.
    """

    values: Mapping[str, Value]
    epochs: int | None = None
    parent: int | None = None


@dataclass(frozen=True)
class TrialResult:
    """What became of the run with this number: its best score so far, higher is better, or None where it failed or
    the score is not defined."""

    number: int
    suggestion: Suggestion
    score: float | None


@dataclass(frozen=True)
class SearchSpace:
    """What a tuner is to do: ``trials`` runs, or members of a population, of ``epochs`` at the most, ``parallel`` of
    them at a time, each on so many ``devices``. The same ``seed`` proposes the same."""

    space: tuple[Parameter, ...]
    trials: int
    epochs: int
    seed: int
    parallel: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    """values of the space's keys that the run would have without a search"""
    options: Mapping[str, Any] = field(default_factory=dict)
    devices: float = 1.0

    def sample(self, generator: Generator) -> dict[str, Value]:
        """Any values of the space, by name."""
        return {parameter.name: parameter.sample(generator) for parameter in self.space}


class SearchMethod:
    """What every tuner says of the search that it is to make.

    The constructor raises UserError where it cannot search this space.
    """

    def __init__(self, search: SearchSpace) -> None:
        self.search = search

    @property
    def epochs(self) -> int:
        """Of all runs together."""
        return self.search.trials * self.search.epochs

    @property
    def runs(self) -> int:
        """How many it will ask for, where none fails."""
        return self.search.trials

    @property
    def at_once(self) -> int:
        """How many runs are made at a time."""
        return self.search.parallel


class Tuner(SearchMethod, ABC):
    """Asked for runs, told their scores, until it asks for no more.

    It must be a function of its search and of what it is told: a search that was cut short is gone through again.
    """

    @abstractmethod
    def ask(self) -> Sequence[Suggestion]:
        """The runs to make next, side by side where they can; none when done."""

    def tell(self, scored: Sequence[TrialResult]) -> None:
        """What became of all that was last asked for, in the same order."""


@dataclass(frozen=True)
class Asked:
    """A run that an asynchronous tuner has made, or begun, for one of its members."""

    number: int
    member: int
    suggestion: Suggestion
    done: bool


Train = Callable[[int, Suggestion], TrialResult]
"""Makes the run that a member, a number from 0, goes on with, where it is called, and returns at its end. The same
member and suggestion are the same run: one that has begun goes on, one that is done is not made again. Can be pickled
and sent to any machine that has the environment and sees the files of this one."""


class AsynchronousTuner(SearchMethod, ABC):
    """Makes the runs on an engine of its own, each as soon as there is room, and decides on each as soon as it is
    done. The same search need not come to the same twice."""

    @abstractmethod
    def run(self, train: Train, earlier: Sequence[Asked], heard: Callable[[int], bool], scratch: Path) -> None:
        """Make all runs. ``earlier`` are those of a search that was cut short. ``heard`` is to be called here with the
        number of each run that is done; False from it asks for an end. ``scratch`` is an empty folder that every
        machine sees, and that is removed afterwards."""


def ranked(scored: Iterable[TrialResult]) -> list[TrialResult]:
    """Those that have a score, the best first, the earlier one of equals."""
    found = [(-item.score, item.number, item) for item in scored if item.score is not None]
    return [item for _, _, item in sorted(found, key=lambda entry: entry[:2])]
