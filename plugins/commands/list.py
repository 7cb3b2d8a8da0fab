"""``sightsmith list``: list installed components and runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.errors import UserError
from sightsmith.plugins.commands.settings import flag, parse, word

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

KINDS = ("networks", "presets", "formats", "readers", "exporters", "recipes", "tuners", "augmentations", "tasks",
         "loggers", "commands", "plugins", "runs")


@dataclass(frozen=True)
class List:
    """List networks, presets, formats and other installed components, or your runs."""

    kind: str = word("what to list", choices=KINDS)
    name: str | None = word("list presets: a preset's name or file, to show its card", None)
    task: str | None = flag("only list entries for this task", None, metavar="TASK", offers="tasks")
    output_dir: Path = flag("list runs: the folder of the runs, by default runs", Path("runs"), metavar="FOLDER",
                            offers="files")
    all: bool = flag("list networks: every configuration of the model zoos, and why some cannot be trained")
    json: bool = flag("print a JSON array")


def list_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(List, arguments, plugins.commands["list"])
    if options.name is not None and options.kind != "presets":
        raise UserError(f"sightsmith list {options.kind} takes no name, but got {options.name!r}")

    from sightsmith.engine.config.presets import find_preset
    from sightsmith.plugins.commands import listing, tables
    from sightsmith.plugins.commands.output import print_json

    if options.name is not None:
        preset = find_preset(options.name, plugins)
        if not options.json:
            tables.print_card(preset)
            return 0
        rows = [listing.preset_row(preset)]
    else:
        rows = listing.rows(options.kind, plugins, options.task, options.output_dir)
    if options.json:
        print_json(rows)
        return 0
    tables.print_rows(options.kind, rows, every=options.all)
    if options.kind == "runs" and rows:
        from sightsmith.engine.report.runs_page import write_runs_page

        print(f"Page: {write_runs_page(options.output_dir, rows, plugins)}")
    return 0
