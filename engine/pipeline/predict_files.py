"""``sightsmith predict``: what a run says of a person's images, as JSON, as pictures, and as annotation to correct."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from PIL import Image

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import IMAGE_SUFFIXES, DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.util.console import tracked
from sightsmith.core.util.errors import UserError, near
from sightsmith.core.util.files import cache_dir, ensure_writable, fill_file, write_json
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.images import probe
from sightsmith.engine.data.thumbnails import blended, load_rgb, palette
from sightsmith.engine.data.write import find_writer, regions, write_dataset
from sightsmith.engine.pipeline.inference import batches
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.draw import drawn
from sightsmith.engine.runs.run_dir import RunDir

FORMAT = 1
TOP = 5
"""Labels that are written of each image, the likeliest."""
YES = 0.5
"""The probability from which a label of several is one of the image."""
MIN_SCORE = 0.3
FILE, PICTURES, MAPS, HEAT = "predictions.json", "pictures", "maps", "heatmaps"
HOTTEST = 0.6
"""How much of the picture the hottest colour covers."""


@dataclass(frozen=True)
class PredictOptions:
    """What to write: ``min_score`` is that of objects in pictures and annotation, the JSON has all; ``format`` that of
    annotation, None for none; ``heatmaps`` show what of an image speaks for its likeliest class."""

    min_score: float = MIN_SCORE
    pictures: bool = True
    heatmaps: bool = False
    format: str | None = None


@dataclass
class Said:
    """Of one image, its name below the input and what was said of it."""

    name: str
    prediction: Prediction
    files: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        said = self.prediction
        content: dict[str, Any] = {"image": self.name, "frame": said.frame, "width": said.width, "height": said.height}
        if said.scores:
            content["labels"] = [{"label": name, "score": round(score, 6)}
                                 for name, score in list(said.scores.items())[:TOP]]
        elif said.semantic_mask is None:
            content["objects"] = [
                {"label": item.label, "score": round(item.score, 6), "box": [round(side, 3) for side in item.box],
                 **({"mask": {"size": [item.mask.height, item.mask.width], "counts": item.mask.counts.decode()}}
                    if item.mask is not None else {})} for item in said.objects]
        return content | self.files


def find_images(text: str) -> dict[str, Path]:
    """By name below it, the images that ``input=text`` stands for: a file, a zip, or all in a folder and those below.

    Raises UserError where there are none.
    """
    given = Path(text).expanduser()
    if not given.exists():
        siblings = [path.name for path in given.parent.iterdir()] if given.parent.is_dir() else []
        raise UserError(f"input={text}: there is no such file or folder.{near(given.name, siblings)}",
                        hint="type input=IMAGE, or a folder of images, or a zip of one")
    if given.is_file() and given.suffix.lower() != ".zip":
        return {given.name: given}
    root = unpack(given, cache_dir() / "archives") if given.is_file() else given
    found = {path.relative_to(root).as_posix(): path for path in _files(root)}
    if not found:
        raise UserError(f"input={text} holds no image", hint=f"images are {', '.join(sorted(IMAGE_SUFFIXES))}, and "
                        "DICOM files of any name")
    return found


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts) \
                and (path.suffix.lower() in IMAGE_SUFFIXES or not path.suffix and _is_dicom(path)):
            yield path


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def predict_files(result: Result, text: str, wanted: PredictOptions, output_dir: Path | None = None) -> tuple[Path,
                                                                                                              list[str]]:
    """Write what ``result`` says of ``input=text`` into a new folder of ``output_dir``, by default ``predictions`` of
    the run; the folder, and lines on what the annotation's format cannot say.

    Raises UserError that names every image that cannot be read, before anything is written.
    """
    parent = output_dir or result.run_dir / "predictions"
    ensure_writable(parent)
    images = find_images(text)
    annotation = _annotation(result)
    writer = find_writer(wanted.format, result.plugins.dataset_formats, annotation) if wanted.format else None
    names = {path: name for name, path in images.items()}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    said: list[dict[str, Any]] = []
    samples: list[Sample] = []
    predictions = result.predict(images.values(), device)
    first = next(predictions)  # which looks at all images
    first_heat = _heat(result, first) if wanted.heatmaps else None  # which the task may not have
    folder = RunDir.create(parent, Path(text).stem).path
    infos: dict[str, ImageInfo] = {name: probe(path) for name, path in images.items()}
    frames = sum(info.frames for info in infos.values())
    for prediction in tracked(chain([first], predictions), "predicting", frames):
        item = Said(names[prediction.path], prediction)
        heat = None
        if wanted.heatmaps:
            heat = first_heat if prediction is first else _heat(result, prediction)
        _write_pictures(folder, result, item, wanted, heat)
        if writer is not None:
            samples.append(_as_sample(item, wanted.min_score, multi_label=result.task.multi_label,
                                      classes=result.classes))
        said.append(item.to_json())
    write_json(folder / FILE, {
        "format": FORMAT, "run": str(result.run_dir), "task": result.task.config.task.name,
        "classes": list(result.classes), "images": said})
    if writer is None:
        return folder, []
    index = DatasetIndex(folder, writer.name, result.classes, tuple(samples), result.task.multi_label,
                         annotation=annotation)
    return folder, write_dataset(index, infos, writer, folder / writer.name)


def _annotation(result: Result) -> Any:
    task = result.task
    return task.network.annotation_of(task.config.network.config) or task.record.annotation


def _as_sample(item: Said, min_score: float, *, multi_label: bool, classes: Sequence[str]) -> Sample:
    said = item.prediction
    objects: tuple[Object, ...] = ()
    labels: tuple[str, ...]
    if said.scores:
        labels = tuple(name for name in classes if said.scores[name] >= YES) if multi_label else \
            (next(iter(said.scores)),)
    else:
        if said.semantic_mask is not None:
            objects = regions(said.semantic_mask, classes)
        else:
            objects = tuple(Object(found.label, found.box, found.mask) for found in said.objects
                            if found.score >= min_score)
        labels = tuple(name for name in classes if any(found.label == name for found in objects))
    return Sample(said.path, item.name, labels, said.frame, objects=objects)


def _write_pictures(folder: Path, result: Result, item: Said, wanted: PredictOptions, heat: Array | None) -> None:
    """Those of one image or frame, which ``item`` then names."""
    prediction = item.prediction
    place = item.name if prediction.frame is None else f"{item.name}-{prediction.frame}"
    if prediction.semantic_mask is not None:
        item.files["semantic_mask"] = f"{MAPS}/{place}.png"
        _write_map(folder / MAPS / f"{place}.png", prediction.semantic_mask, result.classes)
    if wanted.pictures:
        item.files["picture"] = f"{PICTURES}/{place}.png"
        _write_picture(folder / PICTURES / f"{place}.png", result, prediction, wanted.min_score)
    if heat is not None:
        item.files["heat_map"] = f"{HEAT}/{place}.png"
        _write_heat(folder / HEAT / f"{place}.png", result, prediction, heat)


def _write_map(path: Path, semantic_mask: Array, classes: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(semantic_mask)
    picture.putpalette([0, 0, 0, *(part for colour in palette(classes).values() for part in colour)])
    fill_file(path, lambda place: picture.save(place, format="PNG"))


def _write_picture(path: Path, result: Result, prediction: Prediction, min_score: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = load_rgb(Sample(prediction.path, "", frame=prediction.frame), result.task.config.image)
    picture = drawn(pixels, prediction, result.classes, min_score)
    fill_file(path, lambda place: picture.save(place, format="PNG"))


def _heat(result: Result, prediction: Prediction) -> Array:
    [batch] = batches(result.task, [Sample(prediction.path, prediction.path.name, frame=prediction.frame)])
    [heat] = result.task.heat_maps(result.model, batch)
    return heat


def _write_heat(path: Path, result: Result, prediction: Prediction, values: Array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = load_rgb(Sample(prediction.path, "", frame=prediction.frame), result.task.config.image)
    heat = Image.fromarray(values).resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
    strength = np.clip(np.array(heat), 0, 1)
    picture = Image.fromarray(blended(pixels, 255 * colormaps["inferno"](strength)[..., :3], HOTTEST * strength))
    fill_file(path, lambda place: picture.save(place, format="PNG"))
