"""``sightsmith train``: train with Hydra overrides."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

HEAD = """\
Train a model on your own images:

  sightsmith train task=classification dataset.root=photos
  sightsmith train task=classification dataset.root=photos network=resnet50 hyper.epochs=50
  sightsmith train task=classification dataset.root=photos --multirun network=resnet18,resnet50
"""
TAIL = """
--cfg job shows the composed configuration, --hydra-help Hydra's own flags. --json prints the run's folder and metrics
as JSON."""


def train_command(arguments: list[str], plugins: Plugins) -> int:
    if not arguments or "--help" in arguments or "-h" in arguments:
        _print_help(plugins)
        return 0 if arguments else 2
    if "--json" in arguments:
        return _train_as_json([text for text in arguments if text != "--json"], plugins)

    from sightsmith.engine.search.command_line import train_with_hydra

    train_with_hydra(arguments, plugins)
    return 0


def _train_as_json(overrides: list[str], plugins: Plugins) -> int:
    """Train, or search, and print the run, or the best run, as JSON."""
    from sightsmith.core.util.errors import UserError
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


def _print_help(plugins: Plugins) -> None:
    """Print every configuration key with its default, range and help."""
    from sightsmith.core.config.overrides import all_keys
    from sightsmith.core.contracts.keys import format_override

    print(f"{HEAD}\ntask:     {', '.join(plugins.tasks)}\n"
          f"network:  {len(plugins.networks)}, see `sightsmith list networks`\n"
          f"recipe:   {', '.join(plugins.recipes)}, see `sightsmith list recipes`\n"
          f"tuner:    {', '.join(plugins.tuners)}, see `sightsmith list tuners`\n"
          f"logger:   {', '.join(plugins.loggers)}; several as logger=[a,b], none as logger=[]\n\n"
          "key=value (with the schema's defaults; a task may set others):\n")
    for key, entry, tasks in all_keys(plugins):
        if key in ("task.name", "network.name", "logger"):
            continue
        meta = entry.metadata
        default = "" if entry.default in (dataclasses.MISSING, "???") else f" [{format_override(entry.default)}]"
        allowed = "|".join(meta.get("choices") or ())
        if meta.get("low") is not None:
            high = meta.get("high")
            allowed = f"{meta['low']:g} to {high:g}" if high is not None else f"from {meta['low']:g}"
        of_task = f"  with task={' or task='.join(tasks)}" if tasks else ""
        print(f"  {key}{default}" + (f"  {allowed}" if allowed else "") + f"{of_task}\n      {meta['help']}")
    print(TAIL)
