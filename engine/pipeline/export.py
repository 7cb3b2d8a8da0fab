"""``sightsmith export``: a trained model as a file that other programs run, compared with the original first."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.exporter import Exporter, Outputs, Runner
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.records import ExportFormatRecord
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.console import tracked
from sightsmith.core.util.errors import ExportError, UserError, describe_error, near
from sightsmith.core.util.files import ensure_writable, make_folder, write_atomic, write_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.pipeline.evaluate import labelled, shown
from sightsmith.engine.pipeline.inference import batches, outcomes
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.runs.run_dir import RunDir

FORMAT = 1
CARD = "model.json"
TOLERANCE = 1e-3
MOST_LOST = 0.005
"""Of the score, in parts of 1: half a point."""
TRIED = 4
"""Images on which a file is first looked at."""
SAID = 300
"""Letters of what an exporter says, which may be pages."""


@dataclass(frozen=True)
class Parity:
    """An exported model against the original on ``images`` images: of all outputs the ``largest_difference`` and the
    ``part_above`` the tolerance, and the score of both."""

    images: int
    tolerance: float
    largest_difference: float
    part_above: float
    score: str
    original: float | None
    exported: float | None

    @property
    def lost(self) -> float:
        return (self.original or 0.0) - (self.exported or 0.0)


@dataclass(frozen=True)
class Export:
    """The folder of an exported model, and how it compares."""

    folder: Path
    compared: Parity

    def lines(self) -> list[str]:
        """For people."""
        said, score = self.compared, self.compared.score.replace("_", " ")
        above = f", {100 * said.part_above:.2g} % above {said.tolerance:g}" if said.part_above else ""
        return [f"Parity on {said.images} images: outputs differ by up to {said.largest_difference:.2g}{above}",
                f"{score}: {format_metric(said.original)} as trained, {format_metric(said.exported)} exported",
                f"Exported: {self.folder}"]


def export(result: Result, form: str, plugins: Plugins, settings: Mapping[str, str] = {}, tolerance: float = TOLERANCE,
           output_dir: Path | None = None, report: Callable[[str], None] = print) -> Export:
    """Write ``result``'s model in the format ``form`` of ``plugins`` into a new folder of ``output_dir``, by default
    ``exports`` of the run: the model, a card that describes its input and outputs, and the format's companions.

    The model is compared on the run's validation images, or on all of the data set that ``settings`` name (keys of
    :data:`.evaluate.SETTINGS`). Nothing is left behind where it differs: ExportError says by how much, or what could
    not be exported. Raises UserError where the format or its packages are missing.
    """
    chosen = _find(form, plugins)
    task, parent = result.task, output_dir or result.run_dir / "exports"
    ensure_writable(parent)
    parts, dataset = labelled(result, settings, report)
    parts = {name: shown(task, part, dataset) for name, part in parts.items()}
    every = tuple(sample for part in parts.values() for sample in part)
    samples = every if "dataset.root" in settings else parts["validation"]
    if not samples:
        raise UserError(f"The data set {dataset.index.root} has no labelled image to compare the models on.")
    exporter = task.exporter(result.model, {_size(sample, dataset) for sample in every})
    make_folder(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as place:
        path = Path(place) / chosen.file
        written = write(chosen, exporter, path, exporter.images(next(iter(batches(task, samples)))).numpy(), tolerance)
        compared = _compare(result, exporter, written.run, samples, tolerance)
        write_json(path.parent / CARD, _card(result, exporter, chosen, written, compared))
        for name, content in chosen.make().companions().items():
            write_atomic(path.parent / name, content)
        folder = RunDir.create(parent, chosen.name).path
        for file in path.parent.iterdir():
            file.replace(folder / file.name)
    return Export(folder, compared)


def _size(sample: Sample, dataset: CheckedDataset) -> tuple[int, int]:
    """(height, width) of an image or a tile."""
    info = dataset.infos[sample.name]
    return (sample.tile[3], sample.tile[2]) if sample.tile else (info.height, info.width)


def _find(form: str, plugins: Plugins) -> ExportFormatRecord:
    known = plugins.export_formats
    if form not in known:
        raise UserError(f"format={form}: no installed plugin exports this format.{near(form, known)}",
                        hint=f"there is {', '.join(known)}")
    chosen = known[form]
    if missing := [name for name in chosen.needs if importlib.util.find_spec(name) is None]:
        raise UserError(f"format={form} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
                        "not installed.", hint=chosen.install or None)
    return chosen


def run_module(exporter: Exporter) -> Runner:
    """The exporter's own module, one image at a time: what it says of one does not depend on others."""
    def run(images: Array) -> Outputs:
        with torch.no_grad():
            parts = [exporter.module(torch.from_numpy(images[place:place + 1])) for place in range(len(images))]
        return {name: torch.cat(values).numpy()
                for name, values in zip(exporter.outputs, zip(*parts, strict=True), strict=True)}

    return run


@dataclass(frozen=True)
class ExportedModel:
    """A file that was opened again: ``each_image`` says that the model runs once for each image of a batch."""

    run: Runner
    each_image: bool


def write(record: ExportFormatRecord, exporter: Exporter, path: Path, images: Array, tolerance: float = TOLERANCE,
          ) -> ExportedModel:
    """Write ``path``, and compare it on a few ``images``. A model that mixes up the images of a batch is written to run
    for each of them. Raises ExportError that says what is wrong with either."""
    form = record.make()
    exporter.module.eval()  # a recorder puts back the mode that it finds
    images = np.concatenate([images, images[::-1]])[:TRIED]
    expected = run_module(exporter)(images)
    said = []
    for each_image in (False, True) if exporter.batched else (True,):
        try:
            form.write(exporter, torch.from_numpy(images[:1]), path, each_image)
            run = form.open(path, exporter)
            apart = exporter.differences(expected, run(images))
        except Exception as error:  # whatever an exporter says of an operation that it does not know
            said.append(" ".join(describe_error(error).split())[:SAID])
            continue
        if (apart > tolerance).sum() <= exporter.max_mismatch_ratio * apart.size:
            return ExportedModel(run, each_image)
        said.append(f"its outputs differ by up to {apart.max():.2g}, and {tolerance:g} is allowed")
    raise ExportError(f"The model cannot be exported as {record.name}: {'; '.join(dict.fromkeys(said))}")


def _compare(result: Result, exporter: Exporter, run: Runner, samples: Sequence[Sample], tolerance: float) -> Parity:
    task = result.task
    original, own = outcomes(task, result.model, samples), run_module(exporter)
    exported, largest, above, count = [], 0.0, 0, 0
    for batch in tracked(batches(task, samples), "comparing"):
        images = exporter.images(batch).numpy()
        outputs = run(images)
        apart = exporter.differences(own(images), outputs)
        largest = max(largest, float(apart.max(initial=0)))
        above, count = above + int((apart > tolerance).sum()), count + apart.size
        exported += exporter.evaluation_step(outputs, batch)
    compared = Parity(len({sample.image for sample in samples}), tolerance, largest, above / max(count, 1),
                        task.score, task.metrics(original)[task.score], task.metrics(exported)[task.score])
    if compared.part_above > exporter.max_mismatch_ratio:
        raise ExportError(f"The exported model is not the original: on {compared.images} images {above} of {count} "
                          f"outputs differ by more than {tolerance:g}, by up to {largest:.2g}.")
    if compared.lost > MOST_LOST:
        raise ExportError(f"The exported model is worse than the original: on {compared.images} images its "
                          f"{task.score.replace('_', ' ')} is {compared.exported:.4f} and not {compared.original:.4f}.")
    return compared


def _card(result: Result, exporter: Exporter, form: ExportFormatRecord, written: ExportedModel, compared: Parity,
          ) -> dict[str, Any]:
    task, config = result.task, result.task.config
    return {
        "format": FORMAT, "task": config.task.name, "network": task.network.name, "run": result.run_dir.name,
        "file": form.file, "batch": "image by image" if written.each_image else "at once",
        "classes": list(task.classes), "multi_label": task.multi_label, **exporter.card(),
        "tile": {"side": config.dataset.tile, "overlap": config.dataset.tile_overlap},
        "image": {"range": config.image.range, "windows": config.image.windows}, "compared": asdict(compared)}
