"""``sightsmith export``: export a finished run's model for other programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.files import resolved_path
from sightsmith.plugins.commands.labelled_data import LabelledData
from sightsmith.plugins.commands.settings import flag, key, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True, kw_only=True)
class Export(LabelledData):
    """Export a finished run's model to a file for other programs, with a card that describes its input and outputs
    and, for ONNX, a script that only needs onnxruntime. The exported model is compared with the original on the
    validation images, or on those of dataset.root: if its outputs differ or its score is lower, nothing is written and
    the exit code is 1. ONNX needs `pip install 'sightsmith[export]'`."""

    run: Path = key("the run: its folder, its name, or last", metavar="RUN", offers="runs",
                    elsewhere=("model", "weights"))
    format: str = key("the file format: `sightsmith list exporters`", "onnx", metavar="FORMAT",
                      offers="export_formats")
    tolerance: float = key("maximum difference of an output", 0.001, low=0, high=1)
    output_dir: Path | None = key("folder for the results, by default RUN/exports", None, metavar="FOLDER",
                                   offers="files")
    json: bool = flag("print one JSON object")


def export_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Export, arguments, plugins.commands["export"])

    from sightsmith.engine.pipeline.export import export
    from sightsmith.engine.pipeline.result import Result
    from sightsmith.plugins.commands.output import print_json, stdout_as_stderr

    result = Result.load(options.run, plugins)
    with stdout_as_stderr(options.json):
        exported = export(result, options.format, plugins, options.dataset(), options.tolerance,
                          options.output_dir and resolved_path(options.output_dir))
    if options.json:
        print_json({"folder": str(exported.folder), **asdict(exported.parity)})
    else:
        print(*exported.lines(), sep="\n")
    return 0
