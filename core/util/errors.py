"""Errors shown to the user: what was asked, what exists, where it comes from, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sightsmith.core.util.text import closest, one_line, printable

SHOWN_PROBLEMS = 50
NAMED = 5
"""How many names :func:`listed` shows."""


@dataclass(frozen=True)
class Problem:
    """One problem in the user's data or configuration: its message is a line, and its hint another.

    ``file`` is relative to the data set's root (or the path as typed), ``line`` is 1-based. Warnings are printed;
    errors stop the run before training. ``affects`` is the simplest annotation kind that the problem concerns: tasks
    that train on a simpler one ignore it.
    """

    message: str
    file: str | None = None
    line: int | None = None
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"
    affects: Literal["labels", "boxes", "masks"] = "labels"

    def __str__(self) -> str:
        file = self.file or ""
        where = f"{file}:{self.line}: " if self.line is not None else f"{file}: " if file else ""
        hint = f"\n      {one_line(self.hint)}" if self.hint else ""
        return one_line(f"{where}{self.message}") + hint


class UserError(Exception):
    """Invalid input or configuration: printed without a traceback, exit code 2.

    ``problems`` lists everything found at once; ``hint`` says what to type next.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None, problems: Iterable[Problem] = ()) -> None:
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)
        super().__init__(self.text())

    def text(self) -> str:
        lines = [self.message]
        lines += [f"  - {problem}" for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"  ... and {len(self.problems) - SHOWN_PROBLEMS} more")
        if self.hint:
            lines.append(self.hint)
        return printable("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.problems)


class PluginError(UserError):
    """A plugin breaks its contract; the message names the plugin, the record and the difference."""

    exit_code = 1


def describe_error(error: Exception) -> str:
    """The text of a UserError; any other error with its type."""
    return error.text() if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


class NonFiniteLossError(Exception):
    """The loss is infinite or NaN; the message names the step and the loss terms."""


class StoppedError(Exception):
    """The run was asked to stop (Ctrl-C, SIGTERM); its last checkpoint is written.

    ``resume`` are the overrides that resume it; none if it has no folder yet.
    """

    def __init__(self, resume: Sequence[str] = ()) -> None:
        super().__init__(tuple(resume))
        self.resume = tuple(resume)

    def __str__(self) -> str:
        return f"stopped; resume it with: sightsmith train {shlex.join(self.resume)}" if self.resume else "stopped"


class HungError(Exception):
    """Ranks are deadlocked; the message says which ones, and what to do."""

    exit_code = 1


class ExportError(Exception):
    """A model cannot be exported, or the exported one differs; the message says why."""

    exit_code = 1


class FailedRunsError(Exception):
    """Some runs of a sweep failed; the message says which, and why. The others are finished."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def _rebuild(cls: type[UserError], message: str, hint: str | None, problems: Sequence[Problem]) -> UserError:
    return cls(message, hint=hint, problems=problems)


def near(word: str, options: Iterable[str], count: int = 3) -> str:
    """``" Did you mean 'a' or 'b'?"`` for the options :func:`.closest` to ``word``; empty if none is close."""
    found = closest(word, options, count)
    return f" Did you mean {' or '.join(repr(name) for name in found)}?" if found else ""


def listed(names: Iterable[str]) -> str:
    """The first five names, and how many more there are."""
    found = [*map(one_line, names)]
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


def has_errors(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)
