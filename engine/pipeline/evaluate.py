"""Evaluation of a finished run on labelled images: metrics for each split of a data set, and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import ensure_writable, resolved_path, write_json
from sightsmith.core.util.html import ShownPage, html_table
from sightsmith.core.util.text import counted, format_metric
from sightsmith.engine.config.model_card import read_card
from sightsmith.engine.data.thumbnails import shown_bands
from sightsmith.engine.data.tiling import tiled
from sightsmith.engine.pipeline.inference import Predictor
from sightsmith.engine.pipeline.load_dataset import check, check_for_evaluation
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.next_section import next_section
from sightsmith.engine.report.page import write_page
from sightsmith.engine.runs.lockfile import read_lock
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training.bootstrap import LEVEL, Gain, Interval, gain, interval

SETTINGS = ("dataset.root", "dataset.format", "dataset.group_by", "dataset.class_map")
"""Keys that choose the images; everything else stays as it was in the training."""
WHOLE = "all"
"""The name of the only split of a data set without splits."""
METRICS = "metrics.json"
TRAINED_ON = ("The run was trained on images of this data set, so the score is too high. Without dataset.root, each "
              "split is scored apart.")


@dataclass(frozen=True)
class SplitEvaluation:
    """The evaluation of one split; ``samples`` are images or tiles of images, in step with ``results``.

    ``tta_gain`` is what test-time augmentation gained, if ``results`` are with it.
    """

    samples: tuple[Sample, ...] = field(repr=False)
    results: list[SampleResult] = field(repr=False)
    metrics: dict[str, float | None]
    interval: Interval
    tta_gain: Gain | None = None

    @property
    def images(self) -> int:
        return len({sample.image for sample in self.samples})

    @property
    def counts(self) -> str:
        """``1,080 objects in 72 images``, or the images alone. Overlapping tiles show an object more than once."""
        images, objects = counted(self.images, "image"), sum(len(sample.objects) for sample in self.samples)
        tiled = any(sample.tile is not None for sample in self.samples)
        return images if tiled or not objects else f"{counted(objects, 'object')} in {images}"


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a run: each split by its name, and the folder with the report.

    ``score`` names the metric that the run is compared by.
    """

    folder: Path
    score: str
    splits: Mapping[str, SplitEvaluation]
    left_out: tuple[str, ...] = ()
    """names of the images that could not be read"""

    @property
    def report(self) -> Path:
        return self.folder / "index.html"

    def table(self) -> Table:
        table = Table("split", "images", self.score, f"{LEVEL} % confidence interval", box=None, header_style="bold",
                      pad_edge=False)
        if any(split.tta_gain for split in self.splits.values()):
            table.add_column(f"gain by tta, {LEVEL} % interval")
        for name, split in self.splits.items():
            gained = split.tta_gain
            table.add_row(name, str(split.images), format_metric(split.metrics[self.score]), split.interval.span(),
                          *([] if gained is None else [f"{gained.text}, {gained.interval.span()}"]))
        return table

    def show(self, height: int = 800) -> ShownPage:
        """The report, which a notebook shows as the value of a cell."""
        return ShownPage(self.report, height)

    def _repr_html_(self) -> str:
        rows = [(name, split.images, format_metric(split.metrics[self.score]), split.interval.span(),
                 *([] if split.tta_gain is None else [split.tta_gain])) for name, split in self.splits.items()]
        return html_table(rows, [str(column.header) for column in self.table().columns]) + html_table(
            [("Report", self.report)])

    def to_json(self) -> dict[str, Any]:
        return {name: {"images": split.images, "cases": split.interval.cases, "metrics": split.metrics,
                       f"{self.score}_low": split.interval.low, f"{self.score}_high": split.interval.high,
                       **(split.tta_gain.to_json("tta_gain") if split.tta_gain else {})}
                for name, split in self.splits.items()}


def evaluate(result: Result, settings: Mapping[str, str] = {}, split: str | None = None,
             output_dir: Path | None = None, report: Callable[[str], None] = print, *, tta: bool = False) -> Evaluation:
    """Evaluate ``result`` on the data set that ``settings`` name (keys of :data:`SETTINGS`), or on its own.

    Its own data set is split as in the training; another one has the splits that it defines. ``split`` selects one of
    them. The report and ``metrics.json`` go to a new folder in ``output_dir``, by default ``evaluations`` of the run.
    With ``tta``, predictions of flipped views are combined, and what that gained is measured.
    Images that cannot be read are left out and named. Raises UserError if the data set has other errors or classes that
    the run does not know.
    """
    task, parent = result.task, output_dir or result.run_dir / "evaluations"
    ensure_writable(parent)
    augmented = result.predictor.with_flips() if tta else None
    samples, dataset = labelled_splits(result, settings, report, on_bad_image="skip")
    if split is not None and split not in samples:
        raise UserError(f"split={split}: the data set {dataset.index.root} has {', '.join(samples)}",
                        hint="omit split to evaluate all of them")
    chosen = {name: part for name, part in samples.items() if part and split in (None, name)}
    if not chosen:
        raise UserError(f"The data set {dataset.index.root} has no labelled images.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    splits = {name: _evaluate_split(result, part, dataset, device, augmented) for name, part in chosen.items()}
    if "dataset.root" not in settings and _is_refit(result):
        report("warning: the run's model was refitted on its training and validation images; its own score is that of "
               "the folds, and new images show how good it is")
    warnings = [TRAINED_ON] if chosen.keys() != {"test"} and "dataset.root" in settings and resolved_path(
        settings["dataset.root"]) == resolved_path(task.config.dataset.root) else []
    for warning in warnings:
        report(f"warning: {warning}")
    folder = RunDir.create(parent, dataset.index.root.name).path
    evaluation = Evaluation(folder, task.score, splits, dataset.left_out)
    write_json(folder / METRICS, {"run": str(result.run_dir), "dataset": str(dataset.index.root),
                                  "data_digest": dataset.data_digest, "left_out": list(dataset.left_out),
                                  "splits": evaluation.to_json()})
    _write_report(evaluation, result, dataset, warnings)
    return evaluation


def _configured(config: Config, settings: Mapping[str, str]) -> Config:
    """``config`` with ``settings``; another data set is used as a whole."""
    if "dataset.root" in settings:
        config = replace(config, dataset=replace(config.dataset, format="auto", group_by="auto", class_map=None,
                                                 limit=None))
    if unknown := [key for key in settings if key not in SETTINGS]:
        raise UserError(f"evaluation has no key {', '.join(unknown)}", hint=f"its keys: {', '.join(SETTINGS)}")
    own: dict[str, Any] = {key.removeprefix("dataset."): value for key, value in settings.items()}
    return replace(config, dataset=replace(config.dataset, **own))


def labelled_splits(result: Result, settings: Mapping[str, str], report: Callable[[str], None],
                    on_bad_image: str = "error") -> tuple[dict[str, tuple[Sample, ...]], CheckedDataset]:
    """The samples of each split and their data set, chosen as :func:`evaluate` describes; images that cannot be read
    are an error, or left out with ``on_bad_image="skip"``."""
    config = _configured(result.task.config, settings)
    if on_bad_image == "skip":
        config = replace(config, dataset=replace(config.dataset, on_bad_image=on_bad_image))
    splits, dataset = _splits(result, config, own="dataset.root" not in settings, report=report)
    _ensure_known_classes(result, splits, dataset)
    return splits, dataset


def tiled_as_trained(task: Task, samples: tuple[Sample, ...], dataset: CheckedDataset) -> tuple[Sample, ...]:
    """``samples`` as the model sees them in validation: whole images or tiles."""
    tile = task.config.dataset.tile
    return samples if tile is None else tiled(samples, dataset.infos, tile, task.tile_overlap(training=False))


def _splits(result: Result, config: Config, *, own: bool, report: Callable[[str], None],
            ) -> tuple[dict[str, tuple[Sample, ...]], CheckedDataset]:
    plugins = result.plugins
    dataset = check_for_evaluation(config, plugins, report)
    dataset.raise_for_errors()
    if not own:
        names = dict.fromkeys(sample.split or WHOLE for sample in dataset.validation)
        return {name: tuple(sample for sample in dataset.validation if (sample.split or WHOLE) == name)
                for name in names}, dataset
    trained = check(config, plugins, lambda line: None)
    trained.raise_for_errors()
    lock = read_lock(RunDir(result.run_dir).lock)
    if (lock["data"], lock["split"]) != (trained.data_digest, trained.split_digest):
        report("warning: the images, their labels or their split have changed since the run was trained")
    test = tuple(sample for sample in dataset.validation if sample.split == "test")
    both = replace(trained, infos={**dataset.infos, **trained.infos}, left_out=dataset.left_out)
    return {"train": trained.train, "validation": trained.validation, **({"test": test} if test else {})}, both


def _ensure_known_classes(result: Result, splits: Mapping[str, Iterable[Sample]], dataset: CheckedDataset) -> None:
    found = {label for split in splits.values() for sample in split
             for label in (*sample.labels, *(item.label for item in sample.objects))}
    if unknown := sorted(found - set(result.classes)):
        raise UserError(f"The data set {dataset.index.root} has classes that the run does not know:",
                        problems=[Problem(f"unknown: {', '.join(unknown)}"),
                                  Problem(f"the data set has {', '.join(dataset.index.classes)}"),
                                  Problem(f"the run knows {', '.join(result.classes)}")],
                        hint="classes are matched by name: dataset.class_map={old: new} renames those of the data set")
    others = [sample for split in splits.values() for sample in split if len(set(sample.labels)) != 1]
    if dataset.index.annotation == "labels" and not result.task.multi_label and others:
        raise UserError("The run predicts exactly one class per image, but these images have none or several:",
                        problems=[Problem(f"{sample.key}: {', '.join(sample.labels) or 'no class'}", sample.file,
                                          sample.line) for sample in others], hint="remove them from the data set")


def _evaluate_split(result: Result, samples: tuple[Sample, ...], dataset: CheckedDataset, device: torch.device,
                    augmented: Predictor | None) -> SplitEvaluation:
    task, seed = result.task, result.task.config.trainer.seed
    samples = tiled_as_trained(task, samples, dataset)
    results, gained = result.predictor.to(device).evaluate(samples), None
    if augmented is not None:
        plain, results = results, augmented.to(device).evaluate(samples)
        gained = gain(task.bootstrap_score(plain), task.bootstrap_score(results), samples, seed)
    return SplitEvaluation(samples, results, task.metrics(results),
                           interval(task.bootstrap_score(results), samples, seed), gained)


def _write_report(evaluation: Evaluation, result: Result, dataset: CheckedDataset, warnings: Sequence[str]) -> None:
    task, score, run = result.task, evaluation.score.replace("_", " "), RunDir(result.run_dir)
    sections = [_metrics(evaluation, refitted=_is_refit(result))]
    for name, split in evaluation.splits.items():
        sections += [replace(section, title=f"{section.title}, {name}",
                             name=f"{name}-{section.name}" if section.name else "")
                     for section in task.report(split.results, split.samples, evaluation.folder)]
    made_from = (run.model, run.config, run.log, run.report / "index.html")
    sections += [Section("Data and files", rows=(("data set", str(dataset.index.root)), ("format", dataset.reason),
                                                 ("data hash", dataset.data_digest[:16]), ("run", str(run.path))),
                         sources=tuple(os.path.relpath(path, evaluation.folder) for path in made_from)),
                 next_section(run.path)]
    write_page(evaluation.folder, f"Evaluation of {task.config.name}",
               f"{task.config.task.name} · {task.network.name} · {result.run_dir.name} · {dataset.index.root}", "",
               headline=[(f"{score}, {name}", format_metric(split.metrics[evaluation.score]),
                          f"{split.interval.short()}; {split.counts}") for name, split in evaluation.splits.items()],
               sections=sections, warnings=warnings, shown=shown_bands(task.config.image, dataset.infos.values()))


def _is_refit(result: Result) -> bool:
    origin: Mapping[str, Any] = read_card(result.run_dir).get("origin", {})
    return origin.get("made_by") == "refit"


def _metrics(evaluation: Evaluation, *, refitted: bool) -> Section:
    names = [name for name in next(iter(evaluation.splits.values())).metrics if "/" not in name]
    rows = [("images", *(split.images for split in evaluation.splits.values())),
            *((name.replace("_", " "), *(split.metrics[name] for split in evaluation.splits.values()))
              for name in names)]
    gains = [str(split.tta_gain) for split in evaluation.splits.values() if split.tta_gain is not None]
    if gains:
        rows.append((f"gain of {evaluation.score.replace('_', ' ')} by test-time augmentation", *gains))
    seen = ("trained on train and validation" if refitted else
            "trained on train, and its best epoch was chosen on validation")
    note = (f"The model was {seen}. Only images that it has never seen show how good it is."
            if "train" in evaluation.splits or refitted and "validation" in evaluation.splits else "")
    return Section("Metrics", note=note, header=("", *evaluation.splits), rows=tuple(rows), name="metrics",
                   sources=(METRICS,))
