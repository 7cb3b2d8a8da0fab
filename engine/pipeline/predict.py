"""Prediction with a finished run's model, in tiles if it was trained on tiles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from pathlib import Path

import torch

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageError, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.results import RawPrediction
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.engine.data.check import frames_of
from sightsmith.engine.data.check_images import about_input, probe_input
from sightsmith.engine.data.tiling import tiled
from sightsmith.engine.pipeline.inference import Predictor, infer


def predict(predictor: Predictor, paths: Iterable[str | Path], device: torch.device,
            readers: Collection[ImageReaderRecord]) -> Iterator[Prediction]:
    """One prediction per image in the order of ``paths``; one per frame for files with several frames.

    All files are checked first; ``readers`` are those that may be used. Raises UserError naming every file that cannot
    be read.
    """
    infos, problems = probed(paths, readers, predictor.task.config.image)
    if problems:
        raise unreadable(problems)
    predictor, task = predictor.to(device), predictor.task
    samples = frames_of([Sample(Path(name), name) for name in infos], infos)
    tile = task.config.dataset.tile
    tiles = samples if tile is None else tiled(samples, infos, tile, task.config.dataset.tile_overlap)
    predicted: Iterator[RawPrediction] = infer(task, tiles, predictor.predict)
    for _, pairs in groupby(zip(predicted, tiles, strict=True), key=lambda pair: pair[1].image):
        parts, of_image = zip(*pairs, strict=True)
        info = infos[of_image[0].name]
        yield task.prediction(parts, of_image, (info.height, info.width))


def probed(paths: Iterable[str | Path], readers: Collection[ImageReaderRecord], image: ImageConfig,
           ) -> tuple[dict[str, ImageInfo], list[Problem]]:
    """What the files are, by their path, and a problem for each that cannot be read, has other bands than a model with
    the configuration ``image`` takes, or no black and white."""
    infos, problems = {}, []
    for path in paths:
        try:
            info = probe_input(Path(path), readers, image)
            if wrong := about_input(info, image):
                raise ImageError(wrong)
            infos[str(path)] = info
        except (ImageError, OSError) as error:
            problems.append(Problem(str(error), file=str(path)))
    return infos, problems


def unreadable(problems: Iterable[Problem]) -> UserError:
    """The error of files that cannot be read."""
    return UserError("These images cannot be read:", problems=problems, hint="remove or convert them")
