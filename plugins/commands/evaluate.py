"""``sightsmith evaluate``: evaluate a finished run on labelled images."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.files import resolved_path
from sightsmith.core.util.text import counted
from sightsmith.plugins.commands.labelled_data import LabelledData
from sightsmith.plugins.commands.settings import flag, key, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True, kw_only=True)
class Evaluate(LabelledData):
    """Evaluate a finished run on labelled images, each split separately: metrics with confidence intervals, and a
    report. Without dataset.root, it uses the run's own data set. Classes are matched by name. Images that cannot be
    read are left out and named, and the exit code is then 1."""

    run: Path = key("the run: its folder, its name, or last", metavar="RUN", offers="runs",
                    elsewhere=("model", "weights"))
    split: str | None = key("evaluate only this split", None, metavar="NAME")
    tta: bool = key("test-time augmentation: combine the predictions for flipped views, and measure the gain", False)
    output_dir: Path | None = key("folder for the results, by default RUN/evaluations", None, metavar="FOLDER",
                                   offers="files")
    json: bool = flag("print one JSON object")


def evaluate_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Evaluate, arguments, plugins.commands["evaluate"])

    from sightsmith.core.util.errors import listed
    from sightsmith.engine.pipeline.console import console
    from sightsmith.engine.pipeline.evaluate import evaluate
    from sightsmith.engine.pipeline.result import Result
    from sightsmith.plugins.commands.output import print_json, stdout_as_stderr

    result = Result.load(options.run, plugins)
    with stdout_as_stderr(options.json):
        evaluation = evaluate(result, options.dataset(), options.split,
                              options.output_dir and resolved_path(options.output_dir), tta=options.tta)
    if options.json:
        print_json({"report": str(evaluation.report), "left_out": list(evaluation.left_out),
                    "splits": evaluation.to_json()})
    else:
        console().print(evaluation.table())
        print(f"Report: {evaluation.report}")
    if evaluation.left_out:
        print(f"{counted(len(evaluation.left_out), 'image')} could not be read, not counted in any score: "
              f"{listed(evaluation.left_out)}", file=sys.stderr)
    return int(bool(evaluation.left_out))
