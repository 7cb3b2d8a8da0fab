"""``sightsmith predict``: predictions as JSON, as pictures, and as annotation that you can correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.util.errors import Problem
from sightsmith.core.util.files import ensure_writable, stem_of
from sightsmith.engine.data.check import frames_of
from sightsmith.engine.data.write import check_writable, find_writer, regions, write_dataset
from sightsmith.engine.pipeline.console import tracked
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.predict import probed, unreadable
from sightsmith.engine.pipeline.prediction_folder import ImagePrediction, PredictionFolder
from sightsmith.engine.pipeline.prediction_images import find_images
from sightsmith.engine.pipeline.prediction_table import predicted_labels
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.runs.run_dir import RunDir

MIN_SCORE = 0.3


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
    images = find_images(location, readers, image)
    annotation = _annotation(result)
    writer = find_writer(options.format, plugins.dataset_formats, annotation) if options.format else None
    names = {path: name for name, path in images.paths.items()}
    infos_by_path, faults = probed(images.paths.values(), readers, image)
    problems = [*images.problems, *(replace(problem, file=names[Path(str(problem.file))]) for problem in faults)]
    if not infos_by_path:
        raise unreadable(problems)
    infos: dict[str, ImageInfo] = {names[Path(path)]: info for path, info in infos_by_path.items()}
    index = DatasetIndex(parent, "", result.classes, frames_of(
        [Sample(Path(path), names[Path(path)]) for path in infos_by_path], infos), result.task.multi_label,
        annotation=annotation)
    if writer is not None:
        check_writable(index, infos, writer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    samples: list[Sample] = []
    predictions = result.predict(infos_by_path, device, tta=options.tta)
    first = next(predictions)

    def item_of(prediction: Prediction) -> ImagePrediction:
        name = names[prediction.path]
        return ImagePrediction(name, prediction, reader=infos[name].reader)

    first_heatmap = _heatmap(result, item_of(first)) if options.heatmaps else None  # fails if the task has none
    folder = PredictionFolder(RunDir.create(parent, stem_of(Path(location))).path, result, infos, first,
                              min_score=options.min_score, pictures=options.pictures)
    frames = sum(info.frames for info in infos.values())
    for prediction in tracked(chain([first], predictions), "predicting", frames):
        item = item_of(prediction)
        heatmap = None
        if options.heatmaps:
            heatmap = first_heatmap if prediction is first else _heatmap(result, item)
        folder.add(item, heatmap)
        if writer is not None:
            samples.append(_as_sample(item, options.min_score, multi_label=result.task.multi_label,
                                      classes=result.classes))
    summary = folder.finish(location, {str(problem.file): problem.message for problem in problems})
    notes = images.notes
    if writer is not None:
        notes += write_dataset(replace(index, samples=tuple(samples)), infos, writer, folder.path / writer.name)
    return WrittenPredictions(folder.path, summary, notes, problems)


def _annotation(result: Result) -> Any:
    task = result.task
    return task.network.annotation_of(task.config.network.config) or task.record.annotation


def _as_sample(predicted: ImagePrediction, min_score: float, *, multi_label: bool, classes: Sequence[str]) -> Sample:
    found = predicted.prediction
    objects: tuple[Object, ...] = ()
    labels: tuple[str, ...]
    if found.scores:
        there = predicted_labels(found.scores, multi_label)
        labels = tuple(name for name in classes if name in there)
    else:
        if found.semantic_mask is not None:
            objects = regions(found.semantic_mask, classes)
        else:
            objects = tuple(Object(item.label, item.box, item.mask) for item in found.objects
                            if item.score >= min_score)
        labels = tuple(name for name in classes if any(item.label == name for item in objects))
    return replace(predicted.sample, labels=labels, objects=objects)


def _heatmap(result: Result, item: ImagePrediction) -> Array:
    [batch] = batches(result.task, [item.sample])
    [heatmap] = result.task.heat_maps(result.model, batch)
    return heatmap
