"""Which networks of the short lists can be exported, and how far they are then from the original.

    python benchmarks/export.py [--task detection] [--only NAME ...] [--seconds 600]

Each is built and trained on two made-up images, so that its outputs tell things apart: a round of steps, and a detector
until it is sure of something, since all its boxes would else be ties. Then it is written in each format and compared
on these images and their reflections, alone and together. Writes the table ``docs/exported-networks.md``, of which it
replaces the rows that were run.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from zoo_step import CLASSES, HEIGHT, WIDTH, write_samples

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.schema import Config, HyperConfig, ImageConfig, NetworkConfig
from sightsmith.core.contracts.task import Task
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import ExportError, UserError, describe_error
from sightsmith.core.util.files import write_atomic
from sightsmith.engine.pipeline.export import TOLERANCE, run_module, write
from sightsmith.engine.training.trainer import seed_everything

TABLE = Path(__file__).resolve().parent.parent / "docs" / "exported-networks.md"
SIZES = (128, 112, 224, 256, 512)
"""Inputs to try, pixels, before the network's own: some take no small ones."""
STEPS, ROUNDS, SURE = 4, 15, 0.5
"""Of a round; rounds at most; the score from which a detector is sure."""
RATES = {"detection": 1e-3, "segmentation": 1e-4}
"""Of learning."""

HEAD = f"""# Exported networks

Written by `python benchmarks/export.py`: the networks with a short name (`sightsmith list networks`), trained for a few
steps on two generated images of {len(CLASSES)} classes (classifiers: with random weights that separate them), exported,
and compared with the original on these images and their reflections, alone and in a batch.
[Export](how-to/export.md) defines the difference; {TOLERANCE:g} is allowed. *At once* and *image by image* say how a
batch is run. Other networks of the model zoos are compared when you export them.

| task | network | input, pixels | ONNX | difference | MB | TorchScript | difference | MB |
|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("classification", "detection", "segmentation"))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks")
    parser.add_argument("--seconds", type=float, default=600, help="limit of a network's time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    records = load_plugins().networks.values()
    for record in records:
        load_plugins().task(record.task).build()  # what each process, a fork of this one, then has
    for record in records:
        if record.zoo or options.task not in (None, record.task) or options.only and record.name not in options.only:
            continue
        begun = time.monotonic()
        cells = _isolated(record, options.seconds)
        _record(f"| {record.task} | {record.name} | {' | '.join(cells)} |")
        print(f"{time.monotonic() - begun:6.1f} s  {record.name:28} {' | '.join(cells)}", flush=True)


def _isolated(record: NetworkRecord, seconds: float) -> list[str]:
    """The cells of a network's row, from a process of its own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        try:
            return pool.apply_async(_cells, (record.name,)).get(seconds)
        except multiprocessing.TimeoutError:
            return ["", f"not within {seconds:g} s", "", "", "", "", ""]


def _cells(name: str) -> list[str]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = write_samples(folder)
        task, model = trained(load_plugins().network(name), samples)
        exporter = task.exporter(model.eval(), [(HEIGHT, WIDTH), (WIDTH, HEIGHT)])
        data = task.dataset(samples, training=False)
        images = exporter.images(task.collate([data[0], data[1]])).numpy()
        images = np.concatenate([images, images[..., ::-1]])
        cells = [str(exporter.width)]
        for form in load_plugins().export_formats.values():
            path = folder / form.name / form.file
            path.parent.mkdir()
            try:
                written = write(form, exporter, path, images)
            except ExportError as error:
                cells += [str(error).replace("|", " ")[:200], "", ""]
                continue
            apart = exporter.differences(run_module(exporter)(images), written.run(images))
            size = sum(file.stat().st_size for file in path.parent.iterdir())
            differ = f"{apart.max():.1e}" if apart.size else "nothing found"
            max_mismatch_ratio = int((apart > TOLERANCE).sum())
            cells += ["image by image" if written.each_image else "at once",
                      differ + (f", {max_mismatch_ratio} of {apart.size} above" if max_mismatch_ratio else ""),
                      f"{size / 1e6:.0f}"]
        return cells


def trained(record: NetworkRecord, samples: list, rounds: int = ROUNDS, options: dict[str, Any] | None = None,
            ) -> tuple[Task, torch.nn.Module]:
    """The task, and a model with ``network.options`` that has learnt a little from ``samples``, in at most so many
    rounds."""
    problem = ""
    for size in (*(size for size in SIZES if size >= (record.min_size or 0)), record.input_size):
        seed_everything(0)
        task_record = load_plugins().task(record.task)
        config = Config(task=task_record.build_settings()(record.task), name="export", image=ImageConfig(size=size),
                        network=NetworkConfig(record.name, "none", options or {}), hyper=HyperConfig(batch_size=2))
        task = task_record.build()(task_record, config, record, CLASSES)
        try:
            model, _ = task.build_model()
            _train(task, model, samples, rounds)
        except (UserError, RuntimeError, ValueError, AssertionError, IndexError) as error:
            problem = describe_error(error)
            continue
        return task, model
    raise RuntimeError(f"{record.name} takes none of the sizes: {problem}")


def _train(task: Task, model: torch.nn.Module, samples: list, rounds: int) -> None:
    task.prepare(model, samples)
    if task.config.task.name == "classification":
        _tell_apart(task, model, samples)
        return
    optimizer = torch.optim.AdamW(model.parameters(), RATES[task.config.task.name])
    for _ in range(rounds):
        _round(task, model.train(), samples, optimizer)
        batch = task.collate([task.dataset(samples, training=False)[0]])
        with torch.no_grad():
            found = task.predict(model.eval(), batch)[0]
        if task.config.task.name != "detection" or max(found["scores"], default=0.0) >= SURE:
            return


@torch.no_grad()
def _tell_apart(task: Task, model: torch.nn.Module, samples: list) -> None:
    """Give a classifier statistics of the images and a last layer of an opinion: probabilities that are all alike, or 0
    and 1, would hide a difference."""
    data = task.dataset(samples, training=False)
    images = model.data_preprocessor(task.collate([data[0], data[1]]), False)["inputs"]
    images = torch.cat([images, images.flip(3), images.flip(2)])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
            module.reset_running_stats()
    model.train()(images)
    last = [module for module in model.network.modules() if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))][-1]
    torch.nn.init.normal_(last.weight)
    last.weight /= model.eval()(images).std().clamp(min=1e-6)


def _round(task: Task, model: torch.nn.Module, samples: list, optimizer: torch.optim.Optimizer) -> None:
    data = task.dataset(samples, training=True)
    for number in range(STEPS):
        batch = model.data_preprocessor(task.collate([data[(0, 2 * number)], data[(1, 2 * number + 1)]]), True)
        loss, _ = model.parse_losses(model(**batch, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()


def _record(row: str) -> None:
    key = row.split("|")[1:3]
    lines = TABLE.read_text().splitlines() if TABLE.is_file() else []
    others = (key, [" task ", " network "])
    rows = [line for line in lines if line.startswith("| ") and line.split("|")[1:3] not in others]
    write_atomic(TABLE, HEAD + "\n".join(sorted([*rows, row])) + "\n")


if __name__ == "__main__":
    main()
