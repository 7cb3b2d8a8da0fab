"""``sightsmith predict``: predictions as JSON, as pictures, and as annotation that you can correct."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.files import cache_dir, ensure_writable, stem_of, typed_path
from sightsmith.core.util.text import as_text
from sightsmith.engine.data.annotation_files import relative_name
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.image_files import is_image_file, suffixes
from sightsmith.engine.data.write import find_writer, regions, write_dataset
from sightsmith.engine.pipeline.console import tracked
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.predict import probed, unreadable
from sightsmith.engine.pipeline.prediction_folder import ImagePrediction, PredictionFolder
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


def find_images(location: str, readers: Sequence[ImageReaderRecord]) -> dict[str, Path]:
    """The images of ``input=location``, a file, a zip or a folder with its subfolders, by their path relative to it.

    Raises UserError if there are none.
    """
    source = typed_path(location)
    if not os.path.exists(source):
        siblings = [path.name for path in source.parent.iterdir()] if os.path.isdir(source.parent) else []
        raise UserError(f"input={location}: there is no such file or folder.{near(source.name, siblings)}",
                        hint="type the path of an image, a folder of images, or a zip of such a folder")
    if source.is_file() and source.suffix.lower() != ".zip":
        return {as_text(source.name): source}
    root = unpack(source, cache_dir() / "archives") if source.is_file() else source
    found = {relative_name(path, root): path for path in _files(root, readers)}
    if not found:
        raise UserError(f"input={location} contains no images",
                        hint=f"supported: {', '.join(suffixes(readers))}, and "
                             f"{' and '.join(item.title for item in readers if item.magic)} files without a suffix")
    return found


def _files(root: Path, readers: Sequence[ImageReaderRecord]) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts) \
                and is_image_file(path, readers):
            yield path


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
    images = find_images(location, readers)
    annotation = _annotation(result)
    writer = find_writer(options.format, plugins.dataset_formats, annotation) if options.format else None
    names = {path: name for name, path in images.items()}
    infos_by_path, problems = probed(images.values(), readers, result.task.config.image)
    if not infos_by_path:
        raise unreadable(problems)
    infos: dict[str, ImageInfo] = {names[Path(path)]: info for path, info in infos_by_path.items()}
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
    summary = folder.finish(location, {names[Path(str(problem.file))]: problem.message for problem in problems})
    notes: list[str] = []
    if writer is not None:
        index = DatasetIndex(folder.path, writer.name, result.classes, tuple(samples), result.task.multi_label,
                             annotation=annotation)
        notes = write_dataset(index, infos, writer, folder.path / writer.name)
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
