"""``sightsmith train``: train with Hydra overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sightsmith.core.util.errors import UserError

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


def train_command(arguments: list[str], plugins: Plugins) -> int:
    if not arguments:
        raise UserError("sightsmith train: no data set is chosen", hint="type `sightsmith train dataset=FOLDER`; "
                        "`sightsmith train --help` shows every key")
    if "--help" in arguments or "-h" in arguments:
        from sightsmith.plugins.commands.train_help import print_help

        print_help([text for text in arguments if "=" in text and not text.startswith("-")], plugins)
        return 0
    if "--json" in arguments:
        return _train_as_json([text for text in arguments if text != "--json"], plugins)

    from sightsmith.engine.search.command_line import train_with_hydra

    train_with_hydra(arguments, plugins)
    return 0


def _train_as_json(overrides: list[str], plugins: Plugins) -> int:
    """Train, or search, and print the run, or the best run, as JSON."""
    from sightsmith.engine.search.application import train
    from sightsmith.engine.search.command_line import is_override
    from sightsmith.plugins.commands.output import print_json, stdout_as_stderr

    if flags := [text for text in overrides if not is_override(text)]:
        raise UserError(f"--json cannot be combined with {', '.join(flags)}",
                        hint="for a manual sweep, read sweep.csv")
    with stdout_as_stderr():
        result = train(overrides, plugins)
    print_json({"run": str(result.run_dir), "report": str(result.report), "score": result.task.score,
                "metrics": result.metrics})
    return 0
