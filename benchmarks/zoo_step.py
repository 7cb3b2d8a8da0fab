"""One training step and one prediction of a zoo configuration, on two made-up images of three classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightsmith.core.contracts.annotation import Object, Polygons, SemanticMask
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.schema import Config, HyperConfig, ImageConfig, NetworkConfig, TaskConfig
from sightsmith.core.contracts.task import Task
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.training.optim import build_optimizer
from sightsmith.engine.training.trainer import seed_everything
from sightsmith.plugins.openmmlab import adapt, zoo

CLASSES = ("cat", "cow", "dog")
WIDTH, HEIGHT = 160, 128
SIZES = (128, 512)
"""Inputs to try, pixels: some networks take no small ones."""

TASKS = {"mmdet": "detection", "mmseg": "segmentation"}


def make_task(package: str, name: str, size: int = SIZES[0], options: dict[str, Any] | None = None) -> Task:
    """The real task on configuration ``name`` of ``package`` with ``network.options``, without starting weights.

    Raises UserError where the configuration is for no task.
    """
    task = load_plugins().task(TASKS[package])
    masks = package == "mmseg" or adapt.learns_masks(zoo.load_model(package, name))
    # Not the record that the plugin lists, which goes by the table that is to be written.
    network = NetworkRecord(name=package, description="", builder="sightsmith.plugins.openmmlab.build:build_model",
                            task=task.name, family=name.split("/")[0], parameters=0, input_size=size,
                            annotation="masks" if masks else "boxes", options={"config": name})
    config = Config(task=TaskConfig(task.name), name="zoo", image=ImageConfig(size=size),
                    network=NetworkConfig(package, "none", options or {}),
                    hyper=HyperConfig(learning_rate=1e-6, batch_size=2))
    return task.build()(task, config, network, CLASSES)


def write_samples(folder: Path) -> list[Sample]:
    """Two images of unlike shapes: a rectangle of each class on each, and a map that shows the same."""
    random = np.random.default_rng(0)
    samples = []
    for number, (width, height) in enumerate([(WIDTH, HEIGHT), (HEIGHT, WIDTH)]):
        picture = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
        shown = np.zeros((height, width), np.uint8)
        objects = []
        for place, label in enumerate(CLASSES):
            left, top = 4 + 40 * place, 8 + 30 * place
            right, bottom = left + 44, top + 36 - 4 * number
            picture[top:bottom, left:right, place] += 150
            shown[top:bottom, left:right] = place + 1
            corners = (left, top, right, top, right, bottom, left, bottom)
            objects.append(Object(label, (left, top, right, bottom), Polygons((tuple(map(float, corners)),))))
        Image.fromarray(picture).save(folder / f"{number}.png")
        Image.fromarray(shown).save(folder / f"{number}-map.png")
        samples.append(Sample(
            folder / f"{number}.png", f"{number}.png", CLASSES, objects=tuple(objects), size=(width, height),
            semantic_mask=SemanticMask(folder / f"{number}-map.png", f"{number}-map.png",
                               ((0, None), *enumerate(CLASSES, 1)))))
    return samples


def step(task: Task, samples: list[Sample]) -> dict[str, float | None]:
    """Build, train on the images, predict them; the figures of the prediction.

    Raises whatever fails, and ValueError where a loss or a gradient is not finite or nothing is learnt.
    """
    seed_everything(0)
    model, _ = task.build_model()
    if hasattr(model, "teacher_model"):
        path = samples[0].path.parent / "teacher.pth"
        torch.save(model.teacher_model.state_dict(), path)
        task.config.network.options["teacher_ckpt"] = str(path)
    task.prepare(model, samples)
    data = task.dataset(samples, training=True)
    model.train()
    batch = model.data_preprocessor(task.collate([data[(0, 1)], data[(1, 2)]]), True)
    loss, parts = model.parse_losses(model(**batch, mode="loss"))
    if not math.isfinite(loss):
        raise ValueError(f"the loss is not finite: {({name: float(value) for name, value in parts.items()})}")
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    if not any(bool(gradient.any()) for gradient in gradients) or not all(
            bool(gradient.isfinite().all()) for gradient in gradients):
        raise ValueError("the gradient is zero or not finite")
    build_optimizer(model, task.config.hyper).step()
    model.eval()
    validation = task.dataset(samples, training=False)
    with torch.no_grad():
        return task.metrics(task.evaluation_step(model, task.collate([validation[0], validation[1]])))
