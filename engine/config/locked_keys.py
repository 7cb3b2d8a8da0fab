"""Locks: keys that a preset or a base run sets, and that overrides cannot change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from sightsmith.core.contracts.keys import is_among, walk
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import Problem, UserError

NEVER_LOCKED = ("name", "description", "output_dir", "logger", "limits", "hyper", "tuner", "trainer", "ensemble",
                "dataset.root", "dataset.format", "dataset.validation_percentage", "dataset.group_by",
                "dataset.class_map", "dataset.min_images_per_class", "dataset.limit", "dataset.on_bad_image",
                "dataset.folds", "dataset.repeats", "dataset.refit")
"""Keys and groups that are never locked: the data, the hyperparameters, and how the run is executed."""


class LockedError(UserError):
    """A run overrides a locked key."""


class Locks(Protocol):
    """Locks all keys of the configuration except those that it leaves free."""

    @property
    def free(self) -> tuple[str, ...]:
        """Keys and groups that stay free in addition to :data:`NEVER_LOCKED`."""

    @property
    def owner(self) -> str:
        """The start of a message: ``The preset pneumothorax of ...``."""

    @property
    def task(self) -> str:
        """The task that is locked."""


def is_locked(key: str, locks: Locks) -> bool:
    """Whether ``locks`` fixes the configuration's ``key``."""
    of_task = key.startswith("task.") and key != "task.name"  # hyperparameters that only this task has
    return not of_task and not is_among(key, (*NEVER_LOCKED, *locks.free))


def ensure_locked_values(config: Config, reference: Config, locks: Locks, others: Iterable[Problem] = ()) -> None:
    """Raises LockedError with every locked key in which ``config`` differs from ``reference``, which is composed from
    ``locks`` alone, and with the ``others`` that are wrong as well.

    Another task is the only problem: it brings other defaults, which nobody has typed.
    """
    locked = {key: value for key, _, value in walk(reference) if is_locked(key, locks)}
    if config.task.name != locks.task:
        locked = {"task.name": locks.task}
    problems = [Problem(f"{key} is locked to {_shown(locked[key])}, but this run has {_shown(value)}")
                for key, _, value in walk(config) if key in locked and value != locked[key]]
    if problems:
        problems += others
        names = ", ".join((*locks.free, "hyper.*", "trainer.*"))
        raise LockedError(f"{locks.owner} locks these keys:", problems=problems,
                          hint=f"leave them out; you may change {names} and the data's keys.\n"
                               f"To choose everything yourself: flow=general task={locks.task}")


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", [], {}) else str(value)
