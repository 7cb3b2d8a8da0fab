"""``sightsmith predict``: predict images with a finished run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.files import resolved_path
from sightsmith.core.util.text import counted
from sightsmith.plugins.commands.settings import flag, key, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Predict:
    """Predict images with a finished run. Writes predictions.csv and predictions.json, pictures with the predictions
    drawn in, a page with all of them, and optionally annotation that you can correct and train on. Images that cannot
    be read are named, and the exit code is then 1."""

    run: Path = key("the run: its folder, its name, or last", metavar="RUN", offers="runs",
                    elsewhere=("model", "weights"))
    input: str = key("an image, a folder or a zip file", metavar="PATH", offers="files",
                     elsewhere=("source", "images", "dataset", "data"))
    format: str | None = key("also write annotation in this format: `sightsmith list formats`", None, metavar="NAME",
                            offers="writers")
    min_score: float = key("minimum score of objects to count, draw and annotate", 0.3, low=0, high=1,
                           elsewhere=("conf", "threshold"))
    pictures: bool = key("draw the predictions, and write a page with all of them", True)
    heatmaps: bool = key("write heat maps of what the class is based on; classification only", False)
    tta: bool = key("test-time augmentation: combine the predictions for flipped views, if trained with flips", False)
    output_dir: Path | None = key("folder for the results, by default RUN/predictions", None, metavar="FOLDER",
                                   offers="files")
    json: bool = flag("print the content of predictions.json")


def predict_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Predict, arguments, plugins.commands["predict"])

    from sightsmith.engine.pipeline.predict_files import PredictOptions, predict_files
    from sightsmith.engine.pipeline.prediction_folder import FILE, HEATMAPS, MAPS, PAGE, TABLE
    from sightsmith.engine.pipeline.result import Result
    from sightsmith.plugins.commands.output import stdout_as_stderr

    predict_options = PredictOptions(options.min_score, options.pictures, options.heatmaps, options.format,
                                     options.tta)
    result = Result.load(options.run, plugins)
    with stdout_as_stderr(options.json):
        written = predict_files(result, options.input, predict_options,
                                options.output_dir and resolved_path(options.output_dir))
    if options.json:
        print((written.folder / FILE).read_text(), end="")
    else:
        paths = [written.folder / name for name in (TABLE, FILE, PAGE, MAPS, HEATMAPS, options.format) if name]
        print(*written.notes, written.summary, f"Predictions: {written.folder}",
              *(f"  {path}" for path in paths if path.exists()), sep="\n")
    if written.problems:
        print(f"{counted(len(written.problems), 'image')} could not be read:",
              *(f"  - {problem}" for problem in written.problems), sep="\n", file=sys.stderr)
    return int(bool(written.problems))
