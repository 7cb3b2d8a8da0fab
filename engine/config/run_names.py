"""Finished runs by name instead of by path: ``run=last``, ``run=elpv``, ``base_run=results/last``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.files import typed_path
from sightsmith.core.util.reading import read_json
from sightsmith.engine.config.literal import quoted, unquoted
from sightsmith.engine.config.model_card import card_path
from sightsmith.engine.config.unfinished import ALL_RUNS, CONFIG, STATUS, continuation

LAST = "last"
RUNS = Path("runs")
"""Where runs are without ``output_dir``."""
_CREATED = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-")
"""What the name of a run's folder begins with; the run's own name follows, and a number if that exists."""
_NAMED = re.compile(r"base_run=(?!null$)[^,(){}\[\]]+")
"""A base run that is no sweep."""


def find_run(run: str | Path) -> Path:
    """The folder of ``run``: that path if it is a run's; else of the runs in its folder, by default ``runs``, the one
    of this name, or for ``last`` the one that was finished last, also within a sweep.

    Any other path is returned as it is. Raises UserError if there is none, or if several have the name.
    """
    path = typed_path(run)
    folder = path.parent if len(path.parts) > 1 else RUNS
    there = os.path.lexists(path)
    if there and _is_run(path) or not os.path.isdir(folder) or path.is_absolute() and folder == path:
        return path
    try:
        runs = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}", hint="type the path of a run") from error
    if path.name == LAST and not there:
        finished = [card for card in (*map(card_path, runs), *map(card_path, folder.glob("*-sweep/*")))
                    if os.path.isfile(card)]  # unlike Path.is_file, also in a folder of somebody else
        if not finished:
            begun = [each for each in runs if _CREATED.match(each.name) and _is_run(each)]
            command = continuation(begun[-1]) if begun else ""
            raise UserError(f"{run} is not a finished run: {folder} has none",
                            hint=f"resume the newest:\n  {command}" if command else ALL_RUNS)
        return max(finished, key=lambda card: card.stat().st_mtime).parent.parent
    names = {each: _CREATED.sub("", each.name, count=1) for each in runs if _CREATED.match(each.name)}
    found = [each for each, name in names.items() if path.name in (each.name, name, re.sub(r"-\d+$", "", name))]
    found = [each for each in found if each != path and _is_run(each)] or found
    if there and not found:
        return path
    if len(found) > 1:
        raise UserError(f"{run} names {len(found)} runs:", problems=[*map(_described, reversed(found))],
                        hint=f"type the folder of one of them, such as {found[-1]}")
    if not found:
        raise UserError(f"{run} is not a finished run: there is no such folder, and none of that name in {folder}."
                        f"{near(path.name, {*names.values(), LAST})}", hint=ALL_RUNS)
    return found[0]


def _is_run(path: Path) -> bool:
    return any(os.path.lexists(path / name) for name in (STATUS, CONFIG)) or os.path.lexists(card_path(path))


def _described(run: Path) -> Problem:
    """A run with its status and the time of that, as its folder has them."""
    try:
        status: dict[str, str | None] = read_json(run / STATUS, {"status": str, "ended": str | None,
                                                                 "updated": str | None})
    except UserError:
        status = {}
    when = (status.get("ended") or status.get("updated") or "")[:16].replace("T", " ")
    return Problem(f"{run.name}: {status.get('status', 'status unknown')}{f' {when} UTC' if when else ''}")


def shortest_name(run: Path) -> str:
    """What to type for ``run`` in the current folder: its folder's name if it is in ``runs``, else its path."""
    if run.parent.absolute() == RUNS.absolute():
        return run.name
    here = Path.cwd()
    return str(run.absolute().relative_to(here) if run.absolute().is_relative_to(here) else run)


def with_run_paths(overrides: Iterable[str]) -> list[str]:
    """``overrides`` with the path instead of the name of a base run: what is resumed later must be the same run.

    Raises UserError if there is no such run."""
    return [f"base_run={quoted(find_run(unquoted(text.removeprefix('base_run='))).absolute())}"
            if _NAMED.fullmatch(text) else text for text in overrides]
