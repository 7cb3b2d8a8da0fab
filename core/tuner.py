"""The contract between a search and what decides on its runs: tuners, which plugins provide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sightsmith.core.space import Axis, Value


@dataclass(frozen=True)
class Proposal:
    """A run to make.

    ``values`` are of the search's axes, by name. ``epochs`` is the epoch after which the run pauses, counted from the
    beginning of its training, also where it goes on from another; None: it trains to its end. ``parent`` is the number
    of the run from whose last checkpoint it goes on, with weights and optimizer.
    """

    values: Mapping[str, Value]
    epochs: int | None = None
    parent: int | None = None


@dataclass(frozen=True)
class Scored:
    """What became of the run with this number: its best score so far, higher is better, or None where it failed or
    the score is not defined."""

    number: int
    proposal: Proposal
    score: float | None


@dataclass(frozen=True)
class Search:
    """What a tuner is to do: ``jobs`` runs, or members of a population, of ``epochs`` at the most, ``parallel`` of
    them at a time. The same ``seed`` proposes the same."""

    space: tuple[Axis, ...]
    jobs: int
    epochs: int
    seed: int
    parallel: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    """values of the space's keys that the run would have without a search"""
    options: Mapping[str, Any] = field(default_factory=dict)


class Tuner(ABC):
    """Asked for runs, told their scores, until it asks for no more.

    It must be a function of its search and of what it is told: a search that was cut short is gone through again.
    The constructor raises UserError where it cannot search this space.
    """

    def __init__(self, search: Search) -> None:
        self.search = search

    @property
    def epochs(self) -> int:
        """Of all runs together."""
        return self.search.jobs * self.search.epochs

    @property
    def runs(self) -> int:
        """How many it will ask for, where none fails."""
        return self.search.jobs

    @abstractmethod
    def ask(self) -> Sequence[Proposal]:
        """The runs to make next, side by side where they can; none when done."""

    def tell(self, scored: Sequence[Scored]) -> None:  # noqa: B027 - not every tuner listens
        """What became of all that was last asked for, in the same order."""


def ranked(scored: Iterable[Scored]) -> list[Scored]:
    """Those that have a score, the best first, the earlier one of equals."""
    found = [(-item.score, item.number, item) for item in scored if item.score is not None]
    return [item for _, _, item in sorted(found, key=lambda entry: entry[:2])]
