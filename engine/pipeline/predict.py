"""Prediction with a finished run's model, in tiles if it was trained on tiles."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice

import torch

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageError, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.results import RawPrediction
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.engine.data.check import frames_of
from sightsmith.engine.data.check_images import about_input, probe_input
from sightsmith.engine.data.thumbnails import load_rgb
from sightsmith.engine.data.tiling import tiled, untiled
from sightsmith.engine.pipeline.given_images import GivenImage
from sightsmith.engine.pipeline.inference import Predictor, infer
from sightsmith.engine.pipeline.predicted import PredictedImage


def predict(predictor: Predictor, images: Sequence[GivenImage], device: torch.device,
            readers: Collection[ImageReaderRecord]) -> Iterator[PredictedImage]:
    """One prediction per image in the order of ``images``; one per frame for files with several frames.

    All files are checked first; ``readers`` are those that may be used. Raises UserError naming every file that cannot
    be read.
    """
    infos, problems = probed(images, readers, predictor.task)
    if problems:
        raise unreadable(problems)
    predictor, task = predictor.to(device), predictor.task
    given: dict[str, GivenImage] = {}
    for place, image in enumerate(images):  # which may be given twice
        given[f"{image.name} ({place})" if image.name in given else image.name] = image
    placed = {name: infos[image] for name, image in given.items()}
    samples = frames_of([Sample(image.path, name) for name, image in given.items()], placed)
    tile = task.config.dataset.tile
    tiles = samples if tile is None else tiled(samples, placed, tile, task.config.dataset.tile_overlap)
    predicted: Iterator[RawPrediction] = infer(task, tiles, predictor.predict)
    for _, group in groupby(tiles, key=lambda sample: sample.image):
        of_image = tuple(group)
        parts = islice(predicted, len(of_image))
        found = task.prediction(parts, of_image, _size(placed, of_image[0]))
        deque(parts, maxlen=0)  # of which a task may leave some
        yield _predicted(found, given[of_image[0].name], of_image[0], task)


def _size(infos: Mapping[str, ImageInfo], sample: Sample) -> tuple[int, int]:
    return infos[sample.name].height, infos[sample.name].width


def _predicted(found: Prediction, image: GivenImage, sample: Sample, task: Task) -> PredictedImage:
    sample = replace(sample, name=image.name, tile=None)
    return PredictedImage(
        None if image.temporary else image.path, found.width, found.height, found.frame, found.scores, found.objects,
        found.semantic_mask, name=image.name, task=task, sample=sample,
        pixels=load_rgb(sample, task.config.image) if image.temporary else None)


def probed(images: Iterable[GivenImage], readers: Collection[ImageReaderRecord], task: Task,
           ) -> tuple[dict[GivenImage, ImageInfo], list[Problem]]:
    """What the files are, and a problem for each that cannot be read, has other bands than a model of ``task`` takes,
    no black and white, or is too large for it."""
    infos, problems, image = {}, [], task.config.image
    for given in dict.fromkeys(images):
        try:
            info = probe_input(given.path, readers, image)
            if wrong := about_input(info, image):
                raise ImageError(wrong)
            if task.config.dataset.tile is None and (wrong := untiled(info, task)):
                raise ImageError(f"{wrong}; train with dataset.tile for such images")
            infos[given] = info
        except (ImageError, OSError) as error:
            problems.append(Problem(str(error), file=given.name))
    return infos, problems


def unreadable(problems: Iterable[Problem], hint: str = "remove or convert them") -> UserError:
    """The error of images that cannot be read."""
    return UserError("These images cannot be read:", problems=problems, hint=hint)
