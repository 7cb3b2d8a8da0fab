"""Locks: what a preset or a base run has chosen, and no override changes."""

from __future__ import annotations

from typing import Any, Protocol

from sightsmith.core.contracts.schema import Config, is_among, walk
from sightsmith.core.util.errors import Problem, UserError

NEVER_LOCKED = ("name", "description", "output_dir", "logger", "limits", "hyper", "tuner", "trainer", "dataset.root",
        "dataset.format", "dataset.validation_percentage", "dataset.group_by", "dataset.min_images_per_class",
        "dataset.limit", "dataset.folds", "dataset.repeats")
"""Keys, and groups of them, that are never locked: the data, the hyper-parameters, and how the run is carried out."""


class LockedError(UserError):
    """A run asks for something else than what is locked."""


class Locks(Protocol):
    """What locks keys of the configuration: everything but what it says is free."""

    @property
    def free(self) -> tuple[str, ...]:
        """Keys, and groups of them, that are not locked beside :data:`NEVER_LOCKED`."""

    @property
    def owner(self) -> str:
        """What locks, for people: ``The preset pneumothorax of ...``."""

    @property
    def task(self) -> str:
        """The task that it is for."""


def is_locked(key: str, locks: Locks) -> bool:
    """Whether ``locks`` alone says what the configuration's ``key`` is."""
    of_task = key.startswith("task.") and key != "task.name"  # hyper-parameters that only this task has
    return not of_task and not is_among(key, (*NEVER_LOCKED, *locks.free))


def ensure_locked_values(config: Config, reference: Config, locks: Locks) -> None:
    """Raises LockedError naming every locked key in which ``config`` differs from ``reference``, which has no more
    than ``locks`` gives."""
    locked = {key: value for key, _, value in walk(reference) if is_locked(key, locks)}
    problems = [Problem(f"{key} is locked to {_shown(locked[key])}, and this run asks for {_shown(value)}")
                for key, _, value in walk(config) if key in locked and value != locked[key]]
    if problems:
        names = ", ".join((*locks.free, "hyper.*", "trainer.*"))
        raise LockedError(f"{locks.owner} locks what this run changes:", problems=problems,
                          hint=f"leave them as they are; free are {names} and the data's keys.\n"
                               f"To choose all yourself: flow=general task={locks.task}")


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", [], {}) else str(value)
