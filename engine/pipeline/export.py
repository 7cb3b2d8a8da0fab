"""``sightsmith export``: a trained model as a file for other programs, compared with the original first."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.exporter import Exporter, Outputs, Runner
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.records import ExportFormatRecord
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import ExportError, UserError, describe_error, near
from sightsmith.core.util.files import ensure_writable, make_folder, write_atomic, write_json
from sightsmith.core.util.html import html_table
from sightsmith.core.util.text import counted, format_metric
from sightsmith.engine.pipeline.console import tracked
from sightsmith.engine.pipeline.evaluate import labelled_splits, tiled_as_trained
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.runs.run_dir import RunDir

FORMAT = 1
CARD = "model.json"
TOLERANCE = 1e-3
MAX_SCORE_LOSS = 0.005
TRIED_IMAGES = 4
"""Images on which an exported file is first compared."""
MAX_MESSAGE = 300
"""Characters of an exporter's error message, which may be pages long."""


@dataclass(frozen=True)
class Parity:
    """An exported model compared with the original on ``images`` images: the ``largest_difference`` of any output, the
    ``mismatch_ratio`` of outputs above ``tolerance``, and the score of both."""

    images: int
    tolerance: float
    largest_difference: float
    mismatch_ratio: float
    score: str
    original: float | None
    exported: float | None

    @property
    def score_loss(self) -> float:
        return (self.original or 0.0) - (self.exported or 0.0)


@dataclass(frozen=True)
class Export:
    """The folder of an exported model, and its comparison with the original."""

    folder: Path
    parity: Parity

    def lines(self) -> list[str]:
        """What the command prints."""
        parity, score = self.parity, self.parity.score.replace("_", " ")
        above = f", {100 * parity.mismatch_ratio:.2g} % above {parity.tolerance:g}" if parity.mismatch_ratio else ""
        return [f"Parity on {counted(parity.images, 'image')}: outputs differ by up to "
                f"{parity.largest_difference:.2g}{above}",
                f"{score}: {format_metric(parity.original)} as trained, {format_metric(parity.exported)} exported",
                f"Exported: {self.folder}"]

    def _repr_html_(self) -> str:
        return html_table([line.split(": ", 1) for line in self.lines()])


def export(result: Result, form: str, plugins: Plugins, settings: Mapping[str, str] = {}, tolerance: float = TOLERANCE,
           output_dir: Path | None = None, report: Callable[[str], None] = print) -> Export:
    """Write ``result``'s model in the format ``form`` of ``plugins`` into a new folder of ``output_dir``, by default
    ``exports`` of the run: the model, a card that describes its input and outputs, and the format's companions.

    The model is compared on the run's validation images, or on all of the data set that ``settings`` name (keys of
    :data:`.evaluate.SETTINGS`). If it differs, nothing is left behind, and ExportError says by how much; it also
    says what could not be exported. Raises UserError if the format or its packages are missing.
    """
    chosen = _find(form, plugins)
    task, parent = result.task, output_dir or result.run_dir / "exports"
    ensure_writable(parent)
    splits, dataset = labelled_splits(result, settings, report)
    splits = {name: tiled_as_trained(task, split, dataset) for name, split in splits.items()}
    every = tuple(sample for split in splits.values() for sample in split)
    samples = every if "dataset.root" in settings else splits["validation"]
    if not samples:
        raise UserError(f"The data set {dataset.index.root} has no labelled images to compare the models on.")
    exporter = _exporter(result, {_size(sample, dataset) for sample in every})
    make_folder(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as place:
        path = Path(place) / chosen.file
        written = write(chosen, exporter, path, exporter.images(next(iter(batches(task, samples)))).numpy(), tolerance)
        parity = _compare(result, exporter, written.run, samples, tolerance)
        write_json(path.parent / CARD, _card(result, exporter, chosen, written, parity))
        for name, content in chosen.make().companions().items():
            write_atomic(path.parent / name, content)
        folder = RunDir.create(parent, chosen.name).path
        for file in path.parent.iterdir():
            file.replace(folder / file.name)
    return Export(folder, parity)


class _Mean(nn.Module):
    """The mean of what each of ``modules`` makes of the same images."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = zip(*(module(images) for module in self.members), strict=True)
        return tuple(torch.stack(outputs).mean(0) for outputs in found)


def _exporter(result: Result, sizes: Collection[tuple[int, int]]) -> Exporter:
    """The exporter of the run's model; of an ensemble, that of a module that runs all members."""
    exporter, *others = (result.task.exporter(model, sizes) for model in result.predictor.models)
    if others:
        if not exporter.averageable:
            raise UserError(f"The run predicts with {len(others) + 1} models whose outputs cannot be averaged: fusing "
                            "them has steps that depend on the data, which cannot be traced",
                            hint="train with ensemble=soup, which keeps one model, or with ensemble=none")
        exporter.module = _Mean([exporter.module, *(other.module for other in others)])
    return exporter


def _size(sample: Sample, dataset: CheckedDataset) -> tuple[int, int]:
    """(height, width) of an image or a tile."""
    info = dataset.infos[sample.name]
    return (sample.tile[3], sample.tile[2]) if sample.tile else (info.height, info.width)


def _find(form: str, plugins: Plugins) -> ExportFormatRecord:
    known = plugins.export_formats
    if form not in known:
        raise UserError(f"format={form}: no installed plugin exports this format.{near(form, known)}",
                        hint=f"formats: {', '.join(known)}")
    chosen = known[form]
    if missing := [name for name in chosen.needs if importlib.util.find_spec(name) is None]:
        raise UserError(f"format={form} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
                        "not installed.", hint=chosen.install or None)
    return chosen


def run_module(exporter: Exporter) -> Runner:
    """The exporter's own module, run image by image, so that no output depends on other images."""
    def run(images: Array) -> Outputs:
        with torch.no_grad():
            parts = [exporter.module(torch.from_numpy(images[place:place + 1])) for place in range(len(images))]
        return {name: torch.cat(values).numpy()
                for name, values in zip(exporter.outputs, zip(*parts, strict=True), strict=True)}

    return run


@dataclass(frozen=True)
class ExportedModel:
    """An exported file, opened again; with ``each_image`` the model runs image by image in a batch."""

    run: Runner
    each_image: bool


def write(record: ExportFormatRecord, exporter: Exporter, path: Path, images: Array, tolerance: float = TOLERANCE,
          ) -> ExportedModel:
    """Write ``path``, and compare it on a few ``images``; a model that mixes up the images of a batch is written to run
    image by image. Raises ExportError with the reasons if neither works."""
    form = record.make()
    exporter.module.eval()  # tracing restores the mode that it finds
    images = np.concatenate([images, images[::-1]])[:TRIED_IMAGES]
    expected = run_module(exporter)(images)
    reasons = []
    for each_image in (False, True) if exporter.batched else (True,):
        try:
            form.write(exporter, torch.from_numpy(images[:1]), path, each_image)
            run = form.open(path, exporter)
            differences = exporter.differences(expected, run(images))
        except Exception as error:  # exporters raise anything for an operation that they do not know
            reasons.append(" ".join(describe_error(error).split())[:MAX_MESSAGE])
            continue
        if (differences > tolerance).sum() <= exporter.max_mismatch_ratio * differences.size:
            return ExportedModel(run, each_image)
        reasons.append(f"its outputs differ by up to {differences.max():.2g}, and {tolerance:g} is allowed")
    raise ExportError(f"The model cannot be exported as {record.name}: {'; '.join(dict.fromkeys(reasons))}")


def _compare(result: Result, exporter: Exporter, run: Runner, samples: Sequence[Sample], tolerance: float) -> Parity:
    task = result.task
    original, own = result.predictor.evaluate(samples), run_module(exporter)
    exported, largest, above, count = [], 0.0, 0, 0
    for batch in tracked(batches(task, samples), "comparing"):
        images = exporter.images(batch).numpy()
        outputs = run(images)
        differences = exporter.differences(own(images), outputs)
        largest = max(largest, float(differences.max(initial=0)))
        above, count = above + int((differences > tolerance).sum()), count + differences.size
        exported += exporter.evaluation_step(outputs, batch)
    parity = Parity(len({sample.image for sample in samples}), tolerance, largest, above / max(count, 1),
                    task.score, task.metrics(original)[task.score], task.metrics(exported)[task.score])
    if parity.mismatch_ratio > exporter.max_mismatch_ratio:
        raise ExportError(f"The exported model differs from the original: on {parity.images} images {above} of {count} "
                          f"outputs differ by more than {tolerance:g}, by up to {largest:.2g}.")
    if parity.score_loss > MAX_SCORE_LOSS:
        raise ExportError(f"The exported model is worse than the original: on {parity.images} images its "
                          f"{task.score.replace('_', ' ')} is {parity.exported:.4f} instead of {parity.original:.4f}.")
    return parity


def _card(result: Result, exporter: Exporter, form: ExportFormatRecord, written: ExportedModel, parity: Parity,
          ) -> dict[str, Any]:
    task, config = result.task, result.task.config
    return {
        "format": FORMAT, "task": config.task.name, "network": task.network.name, "run": result.run_dir.name,
        "file": form.file, "batch": "image by image" if written.each_image else "at once",
        "classes": list(task.classes), "multi_label": task.multi_label, **exporter.card(),
        "tile": {"side": config.dataset.tile, "overlap": config.dataset.tile_overlap},
        "image": {key: getattr(config.image, key) for key in ("range", "windows", "pages")}, "parity": asdict(parity)}
