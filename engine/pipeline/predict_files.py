"""``sightsmith predict``: predictions as JSON, as pictures, and as annotation that you can correct."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.util.errors import Problem
from sightsmith.core.util.files import ensure_writable, stem_of
from sightsmith.engine.data.check import frames_of
from sightsmith.engine.data.write import check_writable, find_writer, regions, write_dataset
from sightsmith.engine.pipeline.console import tracked
from sightsmith.engine.pipeline.given_images import GivenImage
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.predict import predict, probed, unreadable
from sightsmith.engine.pipeline.predicted import PredictedImage
from sightsmith.engine.pipeline.prediction_folder import PredictionFolder
from sightsmith.engine.pipeline.prediction_images import find_images
from sightsmith.engine.pipeline.prediction_table import MIN_SCORE, predicted_labels
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.runs.run_dir import RunDir


@dataclass(frozen=True)
class PredictOptions:
    """What to write.

    Objects below ``min_score`` are left out of pictures and annotation; the JSON has all. ``format`` is the dataset
    format of the annotation, None for none. ``heatmaps`` show which regions support the most likely class. ``tta``
    predicts flipped views too.
    """

    min_score: float = MIN_SCORE
    pictures: bool = True
    heatmaps: bool = False
    format: str | None = None
    tta: bool = False


@dataclass(frozen=True)
class WrittenPredictions:
    """The folder of predictions, a line that sums them up, notes on what the annotation's format cannot express, and a
    problem for each image that could not be read."""

    folder: Path
    summary: str
    notes: list[str]
    problems: list[Problem]


def predict_files(result: Result, location: str, options: PredictOptions,
                  output_dir: Path | None = None) -> WrittenPredictions:
    """Write the predictions of ``result`` for ``input=location`` into a new folder in ``output_dir``, by default
    ``predictions`` of the run.

    Images that cannot be read are named there, with the reason. Raises UserError if none can.
    """
    parent = output_dir or result.run_dir / "predictions"
    ensure_writable(parent)
    plugins = result.plugins
    readers = list(plugins.image_readers.values())
    image = result.task.config.image
    found = find_images(location, readers, image)
    images = [GivenImage(name, path) for name, path in found.paths.items()]
    annotation = _annotation(result)
    writer = find_writer(options.format, plugins.dataset_formats, annotation) if options.format else None
    infos, faults = probed(images, readers, result.task)
    problems = [*found.problems, *faults]
    if not infos:
        raise unreadable(problems)
    by_name = {given.name: info for given, info in infos.items()}
    index = DatasetIndex(parent, "", result.classes, frames_of(
        [Sample(given.path, given.name) for given in infos], by_name), result.task.multi_label, annotation=annotation)
    if writer is not None:
        check_writable(index, by_name, writer)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    samples: list[Sample] = []
    predictions = predict(result.predictor_with(tta=options.tta), list(infos), device, readers)
    first = next(predictions)
    first_heatmap = _heatmap(result, first) if options.heatmaps else None  # fails if the task has none
    folder = PredictionFolder(RunDir.create(parent, stem_of(Path(location))).path, result, by_name, first,
                              min_score=options.min_score, pictures=options.pictures)
    frames = sum(info.frames for info in infos.values())
    for prediction in tracked(chain([first], predictions), "predicting", frames):
        heatmap = None
        if options.heatmaps:
            heatmap = first_heatmap if prediction is first else _heatmap(result, prediction)
        folder.add(prediction, heatmap)
        if writer is not None:
            samples.append(_as_sample(prediction, options.min_score))
    summary = folder.finish(location, {str(problem.file): problem.message for problem in problems})
    notes = found.notes
    if writer is not None:
        notes += write_dataset(replace(index, samples=tuple(samples)), by_name, writer, folder.path / writer.name)
    return WrittenPredictions(folder.path, summary, notes, problems)


def _annotation(result: Result) -> Any:
    task = result.task
    return task.network.annotation_of(task.config.network.config) or task.record.annotation


def _as_sample(found: PredictedImage, min_score: float) -> Sample:
    task = found.task
    objects: tuple[Object, ...] = ()
    if found.scores:
        there = set(predicted_labels(found.scores, task.multi_label))
    else:
        if found.semantic_mask is not None:
            objects = regions(found.semantic_mask, task.classes)
        else:
            objects = tuple(Object(item.label, item.box, item.mask) for item in found.objects
                            if item.score >= min_score)
        there = {item.label for item in objects}
    return replace(found.sample, labels=tuple(name for name in task.classes if name in there), objects=objects)


def _heatmap(result: Result, found: PredictedImage) -> Array:
    [batch] = batches(result.task, [found.sample])
    [heatmap] = result.task.heat_maps(result.model, batch)
    return heatmap
