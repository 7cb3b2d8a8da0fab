"""``sightsmith predict``: predictions as JSON, as pictures, and as annotation that you can correct."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.files import (
    cache_dir,
    ensure_writable,
    fill_file,
    short_path,
    stem_of,
    typed_path,
    write_json,
)
from sightsmith.core.util.text import as_text
from sightsmith.engine.data.annotation_files import relative_name
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.image_files import is_image_file, suffixes
from sightsmith.engine.data.thumbnails import blended, load_rgb, palette, shown_bands
from sightsmith.engine.data.write import find_writer, regions, write_dataset
from sightsmith.engine.pipeline.console import tracked
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.mask_volumes import MaskVolumes
from sightsmith.engine.pipeline.predict import probed, unreadable
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.draw import drawn
from sightsmith.engine.runs.run_dir import RunDir

FORMAT = 1
TOP = 5
"""Labels written for each image, the most likely first."""
THRESHOLD = 0.5
"""Labels of a multi-label image have at least this probability."""
MIN_SCORE = 0.3
FILE, PICTURES, MAPS, HEATMAPS = "predictions.json", "pictures", "maps", "heatmaps"
HEATMAP_OPACITY = 0.6
"""Of the highest value, drawn over the image."""


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


@dataclass
class ImagePrediction:
    """The prediction for one image, the image's path relative to the input, and the files written for it by kind."""

    name: str
    prediction: Prediction
    files: dict[str, str] = field(default_factory=dict)
    reader: str | None = None

    @property
    def sample(self) -> Sample:
        """The image again, without annotation."""
        return Sample(self.prediction.path, self.name, frame=self.prediction.frame, reader=self.reader)

    def to_json(self) -> dict[str, Any]:
        found = self.prediction
        content: dict[str, Any] = {"image": self.name, "frame": found.frame, "width": found.width,
                                   "height": found.height}
        if found.scores:
            content["labels"] = [{"label": name, "score": round(score, 6)}
                                 for name, score in list(found.scores.items())[:TOP]]
        elif found.semantic_mask is None:
            content["objects"] = [
                {"label": item.label, "score": round(item.score, 6), "box": [round(side, 3) for side in item.box],
                 **({"mask": {"size": [item.mask.height, item.mask.width], "counts": item.mask.counts.decode()}}
                    if item.mask is not None else {})} for item in found.objects]
        return content | self.files


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
    """The folder of predictions, notes on what the annotation's format cannot express, and a problem for each image
    that could not be read."""

    folder: Path
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
    images_json: list[dict[str, Any]] = []
    samples: list[Sample] = []
    predictions = result.predict(infos_by_path, device, tta=options.tta)
    first = next(predictions)

    def item_of(prediction: Prediction) -> ImagePrediction:
        name = names[prediction.path]
        return ImagePrediction(name, prediction, reader=infos[name].reader)

    first_heatmap = _heatmap(result, item_of(first)) if options.heatmaps else None  # fails if the task has none
    folder = RunDir.create(parent, stem_of(Path(location))).path
    volumes = MaskVolumes(folder, MAPS, infos)
    frames = sum(info.frames for info in infos.values())
    for prediction in tracked(chain([first], predictions), "predicting", frames):
        item = item_of(prediction)
        heatmap = None
        if options.heatmaps:
            heatmap = first_heatmap if prediction is first else _heatmap(result, item)
        _write_pictures(folder, result, item, options, heatmap)
        if writer is not None:
            samples.append(_as_sample(item, options.min_score, multi_label=result.task.multi_label,
                                      classes=result.classes))
        volumes.add(item.name, prediction)
        images_json.append(item.to_json())
    images_json += [{"image": names[Path(str(problem.file))], "error": problem.message} for problem in problems]
    write_json(folder / FILE, {
        "format": FORMAT, "run": str(result.run_dir), "task": result.task.config.task.name,
        "classes": list(result.classes), "images": images_json,
        **({"volumes": volumes.entries} if volumes.entries else {}),
        **({"shown": shown} if (shown := shown_bands(result.task.config.image, infos.values())) else {})})
    if writer is None:
        return WrittenPredictions(folder, [], problems)
    index = DatasetIndex(folder, writer.name, result.classes, tuple(samples), result.task.multi_label,
                         annotation=annotation)
    return WrittenPredictions(folder, write_dataset(index, infos, writer, folder / writer.name), problems)


def _annotation(result: Result) -> Any:
    task = result.task
    return task.network.annotation_of(task.config.network.config) or task.record.annotation


def _as_sample(predicted: ImagePrediction, min_score: float, *, multi_label: bool, classes: Sequence[str]) -> Sample:
    found = predicted.prediction
    objects: tuple[Object, ...] = ()
    labels: tuple[str, ...]
    if found.scores:
        labels = tuple(name for name in classes if found.scores[name] >= THRESHOLD) if multi_label else \
            (next(iter(found.scores)),)
    else:
        if found.semantic_mask is not None:
            objects = regions(found.semantic_mask, classes)
        else:
            objects = tuple(Object(item.label, item.box, item.mask) for item in found.objects
                            if item.score >= min_score)
        labels = tuple(name for name in classes if any(item.label == name for item in objects))
    return replace(predicted.sample, labels=labels, objects=objects)


def _write_pictures(folder: Path, result: Result, item: ImagePrediction, options: PredictOptions,
                    heatmap: Array | None) -> None:
    """Write the pictures of one image or frame and add them to ``item.files``."""
    prediction = item.prediction
    place = short_path(item.name) + ("" if prediction.frame is None else f"-{prediction.frame}")
    if prediction.semantic_mask is not None:
        item.files["semantic_mask"] = f"{MAPS}/{place}.png"
        _write_map(folder / MAPS / f"{place}.png", prediction.semantic_mask, result.classes)
    if options.pictures:
        item.files["picture"] = f"{PICTURES}/{place}.png"
        _write_picture(folder / PICTURES / f"{place}.png", result, item, options.min_score)
    if heatmap is not None:
        item.files["heat_map"] = f"{HEATMAPS}/{place}.png"
        _write_heatmap(folder / HEATMAPS / f"{place}.png", result, item, heatmap)


def _write_map(path: Path, semantic_mask: Array, classes: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(semantic_mask)
    picture.putpalette([0, 0, 0, *(part for colour in palette(classes).values() for part in colour)])
    fill_file(path, lambda place: picture.save(place, format="PNG"))


def _write_picture(path: Path, result: Result, item: ImagePrediction, min_score: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = load_rgb(item.sample, result.task.config.image)
    picture = drawn(pixels, item.prediction, result.classes, min_score)
    fill_file(path, lambda place: picture.save(place, format="PNG"))


def _heatmap(result: Result, item: ImagePrediction) -> Array:
    [batch] = batches(result.task, [item.sample])
    [heatmap] = result.task.heat_maps(result.model, batch)
    return heatmap


def _write_heatmap(path: Path, result: Result, item: ImagePrediction, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = load_rgb(item.sample, result.task.config.image)
    heatmap = Image.fromarray(values).resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
    strength = np.clip(np.array(heatmap), 0, 1)
    colours = 255 * colormaps["inferno"](strength)[..., :3]
    picture = Image.fromarray(blended(pixels, colours, HEATMAP_OPACITY * strength))
    fill_file(path, lambda place: picture.save(place, format="PNG"))
