"""A finished run judged by labelled images: its figures on each split of a data set, and a report on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import ensure_writable, write_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.data.tiling import tiled
from sightsmith.engine.pipeline.inference import outcomes
from sightsmith.engine.pipeline.load_dataset import check, check_judged
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.page import write_page
from sightsmith.engine.runs.lockfile import read_lock
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training.bootstrap import LEVEL, Interval, interval

SETTINGS = ("dataset.root", "dataset.format", "dataset.group_by")
"""Keys that say by which images; all else is as it was trained."""
WHOLE = "all"
"""The split of a data set that has none."""
METRICS = "metrics.json"


@dataclass(frozen=True)
class SplitEvaluation:
    """A split: its samples, images or tiles of them, and what the run makes of them."""

    samples: tuple[Sample, ...]
    outcomes: list[SampleResult]
    metrics: dict[str, float | None]
    trust: Interval

    @property
    def images(self) -> int:
        return len({sample.image for sample in self.samples})


@dataclass(frozen=True)
class Evaluation:
    """What a run is worth on each split, by its name, and the folder that says so."""

    folder: Path
    score: str
    splits: Mapping[str, SplitEvaluation]

    @property
    def report(self) -> Path:
        return self.folder / "index.html"

    def table(self) -> Table:
        table = Table("split", "images", self.score, f"{LEVEL} % confidence interval", box=None, header_style="bold",
                      pad_edge=False)
        for name, judged in self.splits.items():
            table.add_row(name, str(judged.images), format_metric(judged.metrics[self.score]), judged.trust.span())
        return table

    def to_json(self) -> dict[str, Any]:
        return {name: {"images": judged.images, "cases": judged.trust.cases, "metrics": judged.metrics,
                       f"{self.score}_low": judged.trust.low, f"{self.score}_high": judged.trust.high}
                for name, judged in self.splits.items()}


def evaluate(result: Result, settings: Mapping[str, str] = {}, split: str | None = None,
             output_dir: Path | None = None, report: Callable[[str], None] = print) -> Evaluation:
    """Judge ``result`` by the data set that ``settings`` name (keys of :data:`SETTINGS`), or by its own.

    Its own has the split of the training, another one that which it brings. ``split`` takes one of them alone. The
    report and ``metrics.json`` are written into a new folder of ``output_dir``, by default ``evaluations`` of the run.
    Raises UserError for a data set that has errors, or classes that the run does not know.
    """
    task, parent = result.task, output_dir or result.run_dir / "evaluations"
    ensure_writable(parent)
    parts, dataset = labelled(result, settings, report)
    if split is not None and split not in parts:
        raise UserError(f"split={split}: the data set {dataset.index.root} has {', '.join(parts)}",
                        hint="leave split out for all of them")
    chosen = {name: part for name, part in parts.items() if part and split in (None, name)}
    if not chosen:
        raise UserError(f"The data set {dataset.index.root} has no labelled image to judge the run by.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    judged = {name: _judge(result, part, dataset, device) for name, part in chosen.items()}
    where = RunDir.create(parent, dataset.index.root.name).path
    evaluation = Evaluation(where, task.score, judged)
    write_json(where / METRICS, {"run": str(result.run_dir), "dataset": str(dataset.index.root),
                                 "data_digest": dataset.data_digest, "splits": evaluation.to_json()})
    _write_report(evaluation, result, dataset)
    return evaluation


def _configured(config: Config, settings: Mapping[str, str]) -> Config:
    """``config`` with ``settings``, and of another data set all of it."""
    if "dataset.root" in settings:
        config = replace(config, dataset=replace(config.dataset, format="auto", group_by="auto", limit=None))
    try:
        merged = OmegaConf.to_object(OmegaConf.merge(
            OmegaConf.structured(Config), asdict(config),
            OmegaConf.from_dotlist([f"{key}={value}" for key, value in settings.items()])))
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0]) from error
    assert isinstance(merged, Config)
    return merged


def labelled(result: Result, settings: Mapping[str, str], report: Callable[[str], None],
             ) -> tuple[dict[str, tuple[Sample, ...]], CheckedDataset]:
    """The samples of each split, and the data set that all of them are of: see :func:`evaluate`."""
    parts, dataset = _parts(result, _configured(result.task.config, settings), own="dataset.root" not in settings,
                            report=report)
    _refuse_classes(result, parts, dataset)
    return parts, dataset


def shown(task: Task, samples: tuple[Sample, ...], dataset: CheckedDataset) -> tuple[Sample, ...]:
    """``samples`` as the model is shown them in validation: whole, or as tiles."""
    side = task.config.dataset.tile
    return samples if side is None else tiled(samples, dataset.infos, side, task.tile_overlap(training=False))


def _parts(result: Result, config: Config, *, own: bool, report: Callable[[str], None],
           ) -> tuple[dict[str, tuple[Sample, ...]], CheckedDataset]:
    judged = check_judged(config, result.plugins, report)
    judged.raise_for_errors()
    if not own:
        names = dict.fromkeys(sample.split or WHOLE for sample in judged.validation)
        return {name: tuple(sample for sample in judged.validation if (sample.split or WHOLE) == name)
                for name in names}, judged
    trained = check(config, result.plugins, lambda line: None)
    trained.raise_for_errors()
    lock = read_lock(RunDir(result.run_dir).lock)
    if (lock["data"], lock["split"]) != (trained.data_digest, trained.split_digest):
        report("warning: the images, their labels or their split changed since the run was trained")
    test = tuple(sample for sample in judged.validation if sample.split == "test")
    both = replace(trained, infos={**judged.infos, **trained.infos})
    return {"train": trained.train, "validation": trained.validation, **({"test": test} if test else {})}, both


def _refuse_classes(result: Result, parts: Mapping[str, Iterable[Sample]], dataset: CheckedDataset) -> None:
    found = {label for part in parts.values() for sample in part
             for label in (*sample.labels, *(item.label for item in sample.objects))}
    if unknown := sorted(found - set(result.classes)):
        raise UserError(f"The data set {dataset.index.root} has classes that the run does not know:",
                        problems=[Problem(f"unknown: {', '.join(unknown)}"),
                                  Problem(f"the data set has {', '.join(dataset.index.classes)}"),
                                  Problem(f"the run knows {', '.join(result.classes)}")],
                        hint="classes are matched by name: rename those of the data set, or leave them out")
    others = [sample for part in parts.values() for sample in part if len(set(sample.labels)) != 1]
    if dataset.index.annotation == "labels" and not result.task.multi_label and others:
        raise UserError("The run gives an image exactly one class, and these have none or several:",
                        problems=[Problem(f"{sample.key}: {', '.join(sample.labels) or 'no class'}", sample.file,
                                          sample.line) for sample in others], hint="leave them out")


def _judge(result: Result, samples: tuple[Sample, ...], dataset: CheckedDataset,
           device: torch.device) -> SplitEvaluation:
    task: Task = result.task
    samples = shown(task, samples, dataset)
    found = outcomes(task, result.model.to(device), samples)
    trust = interval(task.bootstrap_score(found), samples, task.config.trainer.seed)
    return SplitEvaluation(samples, found, task.metrics(found), trust)


def _write_report(evaluation: Evaluation, result: Result, dataset: CheckedDataset) -> None:
    task, score = result.task, evaluation.score.replace("_", " ")
    sections = [_figures(evaluation)]
    for name, judged in evaluation.splits.items():
        sections += [replace(section, title=f"{section.title}, {name}",
                             name=f"{name}-{section.name}" if section.name else "")
                     for section in task.report(judged.outcomes, judged.samples, evaluation.folder)]
    write_page(evaluation.folder, f"Evaluation of {task.config.name}",
               f"{task.config.task.name} · {task.network.name} · {result.run_dir.name} · {dataset.index.root}", "",
               headline=[(f"{score}, {name}", format_metric(judged.metrics[evaluation.score]), judged.trust.span())
                         for name, judged in evaluation.splits.items()],
               sections=sections)


def _figures(evaluation: Evaluation) -> Section:
    names = [name for name in next(iter(evaluation.splits.values())).metrics if "/" not in name]
    rows = [("images", *(judged.images for judged in evaluation.splits.values())),
            *((name.replace("_", " "), *(judged.metrics[name] for judged in evaluation.splits.values()))
              for name in names)]
    note = ("<p class='soft'>The model has learnt from the images of train, and validation has chosen its epoch: only "
            "images that it has never met say how good it is.</p>" if "train" in evaluation.splits else "")
    return Section("Figures", html=note, header=("", *evaluation.splits), rows=tuple(rows), name="figures")
