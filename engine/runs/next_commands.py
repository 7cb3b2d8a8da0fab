"""What can be done with a run, as commands."""

from __future__ import annotations

import shlex
from pathlib import Path

from sightsmith.engine.config.run_names import shortest_name


def next_commands(run: Path) -> list[tuple[str, str]]:
    """(purpose, command) of each, with the name of ``run``; what is in capitals is to be filled in."""
    name = shortest_name(run)
    own, base = shlex.quote(f"run={name}"), shlex.quote(f"base_run={name}")
    return [("apply it to images", f"sightsmith predict {own} input=FOLDER"),
            ("score it on labelled images", f"sightsmith evaluate {own} dataset.root=FOLDER"),
            ("use it without sightsmith", f"sightsmith export {own} format=onnx"),
            ("train it on with new images", f"sightsmith train flow=retrain {base} dataset.root=FOLDER")]


def next_lines(run: Path) -> str:
    """For the console: the commands alone."""
    return "Next: " + "\n      ".join(command for _, command in next_commands(run))
