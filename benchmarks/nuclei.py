"""Segmentation on real microscopy: stardist's fluorescence nuclei, cut into tiles; Dice on tiles held out.

    python benchmarks/nuclei.py --stardist stardist-0.9.2-*.whl [--network segformer_b0] [--seeds 3]

Get the file with ``pip download --no-deps stardist==0.9.2``; it is not installed, only its picture and mask are read.
The picture of 512 x 512 pixels becomes 16 tiles; the right column, a quarter, is held out.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import sightsmith

FOLDER = "stardist/data/images"
Array = np.ndarray[Any, Any]
SIDE = 128


def tiles(wheel: Path, side: int, rows: int, columns: int) -> Iterator[tuple[str, str, Array, Array]]:
    """Part (``train`` or ``val``), name, picture and instances (0 is background) of every tile of ``side`` pixels.

    ``rows`` times ``columns`` tiles train, side by side or overlapping; the picture's right quarter is held out.
    """
    archive = zipfile.ZipFile(wheel)
    picture, mask = (np.array(Image.open(io.BytesIO(archive.read(f"{FOLDER}/{name}")))) for name in
                     ("img2d.tif", "mask2d.tif"))
    low, high = np.percentile(picture, (0.1, 99.9))
    picture = np.clip(255 * (picture - low) / (high - low), 0, 255).astype(np.uint8)
    height, width = picture.shape
    places = {"train": product(_starts(height, side, rows), _starts(width * 3 // 4, side, columns)),
              "val": product(range(0, height, side), range(width * 3 // 4, width, side))}
    for part, corners in places.items():
        for top, left in corners:
            window = np.s_[top:top + side, left:left + side]
            yield part, f"{top}-{left}.png", picture[window], mask[window]


def write_tiles(wheel: Path, root: Path, side: int = SIDE, rows: int = 4, columns: int = 3) -> None:
    """``train/`` and ``val/`` with ``images/*.png`` and ``masks/*.png``: 0 background, 1 nucleus."""
    for part, name, picture, mask in tiles(wheel, side, rows, columns):
        for kind, values in (("images", picture), ("masks", (mask > 0).astype(np.uint8))):
            path = root / part / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    (root / "classes.txt").write_text("background\nnucleus\n")


def _starts(length: int, side: int, count: int) -> list[int]:
    """``count`` starts of windows of ``side``, evenly over ``length``."""
    return [round(start) for start in np.linspace(0, length - side, count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stardist", type=Path, required=True)
    parser.add_argument("--network", default="segformer_b0")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_tiles(options.stardist, work / "nuclei")
        scores, minutes = [], []
        for seed in range(options.seeds):
            begun = time.perf_counter()
            result = sightsmith.train([
                "task=segmentation", f"dataset.root={work / 'nuclei'}", f"network={options.network}",
                "network.weights=none", f"image.size={SIDE}", f"hyper.epochs={options.epochs}", "hyper.batch_size=4",
                "hyper.optimizer=adamw", "hyper.schedule=cosine", "hyper.warmup_epochs=3", "hyper.early_stop=false",
                f"trainer.seed={seed}", "logger=[]", f"output_dir={work / 'runs'}"])
            scores.append(result.metrics["dice"])
            minutes.append((time.perf_counter() - begun) / 60)
            print(f"  seed {seed}: Dice {scores[-1]:.4f} in {minutes[-1]:.1f} min", flush=True)
    print(f"{options.network} Dice {statistics.mean(scores):.4f} ({', '.join(f'{score:.4f}' for score in scores)}), "
          f"longest {max(minutes):.1f} min")


if __name__ == "__main__":
    main()
