"""The task: from heat maps to keypoints, metrics, a report and predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightsmith.plugin import (
    Exporter,
    LoadReport,
    Model,
    PredictedObject,
    Prediction,
    RawPrediction,
    Sample,
    SampleResult,
    Section,
    Task,
    load_matching,
    read_starting_weights,
)
from sightsmith_keypoints.data import ImagePoints
from sightsmith_keypoints.export import PointsExporter
from sightsmith_keypoints.model import located, place_losses

NEAR = 0.1
"""A keypoint is correct within this fraction of the image's side."""

BOX_SIDE = 0.02
"""Side of the box around a predicted keypoint, as a fraction of the image's."""


class KeypointTask(Task):
    """One keypoint of each class per image."""

    def input_size(self) -> int:
        return self.config.image.size or self.network.input_size

    def dataset(self, samples: Sequence[Sample], *, training: bool) -> ImagePoints:
        return ImagePoints(samples, self.classes, self.config, self.input_size())

    def collate(self, items: list[Any]) -> dict[str, Any]:
        images, points, places = zip(*items, strict=True)
        return {"inputs": torch.stack(images),
                "data_samples": {"points": torch.stack(points), "index": torch.tensor(places)}}

    def build_model(self, *, load_weights: bool = True) -> tuple[Model, LoadReport | None]:
        model = self.network.make(len(self.classes))
        starting = read_starting_weights(self.network, self.config.network) if load_weights else None
        if starting is None:
            return model, None
        return model, starting.report(load_matching(model, starting.file.tensors, starting.source))

    def backbone(self, model: Model) -> Sequence[nn.Module]:
        return list(model.features)

    def evaluation_step(self, model: Model, batch: dict[str, Any]) -> list[SampleResult]:
        batch = model.data_preprocessor(batch, False)
        logits, truth = model(batch["inputs"]), batch["data_samples"]["points"]
        losses, found = place_losses(logits, truth).cpu().numpy(), located(logits).cpu().numpy()
        rows = zip(batch["data_samples"]["index"].tolist(), losses, found, truth.cpu().numpy(), strict=True)
        return [{"index": index, "loss": loss, "error": np.abs(points[:, :2] - true).max(-1)}
                for index, loss, points, true in rows]

    def predict(self, model: Model, batch: dict[str, Any]) -> list[RawPrediction]:
        batch = model.data_preprocessor(batch, False)
        return [{"points": points} for points in located(model(batch["inputs"])).cpu().numpy()]

    def prediction(self, parts: Iterator[RawPrediction], samples: Sequence[Sample],
                   size: tuple[int, int]) -> Prediction:
        """Each keypoint comes from the tile with the highest score, as a small box around it."""
        height, width = size
        objects, found = [], list(parts)
        for place, name in enumerate(self.classes):
            part, sample = max(zip(found, samples, strict=True), key=lambda pair: pair[0]["points"][place, 2])
            left, top, across, down = sample.tile or (0, 0, width, height)
            x, y, score = part["points"][place].tolist()
            x, y, half = left + x * across, top + y * down, BOX_SIDE * max(size) / 2
            objects.append(PredictedObject(name, score, (x - half, y - half, x + half, y + half)))
        objects.sort(key=lambda item: -item.score)
        return Prediction(samples[0].path, width, height, samples[0].frame, objects=tuple(objects))

    def exporter(self, model: Model, sizes: Collection[tuple[int, int]]) -> Exporter:
        return PointsExporter(model, self.input_size())

    def metrics(self, results: Sequence[SampleResult]) -> dict[str, float | None]:
        losses, errors = (np.array([item[key] for item in results]) for key in ("loss", "error"))
        each = {f"pck/{name}": _pck(errors[:, place]) for place, name in enumerate(self.classes)}
        loss = None if np.isnan(losses).all() else float(np.nanmean(losses))
        return {"loss": loss, "pck": _pck(errors), **each}

    def report(self, results: Sequence[SampleResult], samples: Sequence[Sample], folder: Path) -> list[Section]:
        errors = np.array([item["error"] for item in results])
        rows = tuple((name, int((~np.isnan(errors[:, place])).sum()), _shown(_pck(errors[:, place])),
                      _shown(None if np.isnan(errors[:, place]).all() else float(np.nanmedian(errors[:, place]))))
                     for place, name in enumerate(self.classes))
        return [Section("Points", header=("point", "visible", "PCK", "median distance, of the side"), rows=rows,
                        name="points")]


def _pck(errors: np.ndarray) -> float | None:
    """PCK of the visible keypoints; None if there are none."""
    visible = errors[~np.isnan(errors)]
    return float((visible <= NEAR).mean()) if len(visible) else None


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
