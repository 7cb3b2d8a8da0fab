"""Memory and time of images too large to be decoded whole: inspect, train and predict.

    python benchmarks/large_images.py --folder LARGE [--side 20000] [--task detection|segmentation] [--only tiled.tif]

Makes a data set for each format, of one such image for training and small ones for validation, with a square in each
place of a grid as objects or mask. The memory is what processes need for themselves (RssAnon, all of them together);
pages of files that they map are the system's to drop.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import tifffile
from PIL import Image

SMALL, SQUARE, GAP = 512, 64, 512
"""Pixels: the sides of small images and of squares, and the distance of squares."""
FORMS = ("tiled.tif", "striped.tif", "large.jpg", "large.png")
COMMON = ["recipe=platform", "network.weights=none", "image.size=64", "hyper.epochs=1", "hyper.batch_size=16",
          "dataset.tile=2048", "trainer.precision=fp32", "dataset.folds=none"]
NETWORKS = {"detection": "yolox_nano", "segmentation": "segnext_t"}
ADDRESSES = {"detection": ("images", "labels"), "segmentation": ("images", "masks")}


def picture(side: int) -> np.ndarray:
    """(side, side, 3) uint8: noise, with a bright square at each place of the grid."""
    noise = np.random.default_rng(0).integers(0, 160, (side // 8, side // 8, 3), dtype=np.uint8)
    values = cv2.resize(noise, (side, side), interpolation=cv2.INTER_LINEAR)
    for left, top in places(side):
        values[top:top + SQUARE, left:left + SQUARE] = 230
    return values


def places(side: int) -> list[tuple[int, int]]:
    return [(left, top) for top in range(GAP // 2, side - SQUARE, GAP) for left in range(GAP // 2, side - SQUARE, GAP)]


def save_image(path: Path, values: np.ndarray) -> None:
    if path.suffix == ".tif":
        cut = {"tile": (256, 256)} if "tiled" in path.name else {"rowsperstrip": 16}
        tifffile.imwrite(path, values, photometric="rgb", compression="zlib", **cut)
    else:
        cv2.imwrite(str(path), values[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_PNG_COMPRESSION, 1])


def save_annotation(folder: Path, stem: str, side: int, task: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if task == "detection":
        rows = [f"0 {(left + SQUARE / 2) / side} {(top + SQUARE / 2) / side} {SQUARE / side} {SQUARE / side}"
                for left, top in places(side)]
        (folder / f"{stem}.txt").write_text("\n".join(rows))
        return
    mask = np.zeros((side, side), np.uint8)
    for left, top in places(side):
        mask[top:top + SQUARE, left:left + SQUARE] = 1
    cv2.imwrite(str(folder / f"{stem}.png"), mask)


def make(root: Path, form: str, side: int, task: str) -> Path:
    """The data set, and in it the path of the large image."""
    large, (images, annotation) = root / "images" / "train" / form, ADDRESSES[task]
    if large.exists():
        return large
    for split, names in (("train", [form]), ("val", [f"{number}.png" for number in range(3)])):
        folder = root / images / split
        folder.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names):
            length = side if split == "train" else SMALL + GAP * (1 + number)
            save_image(folder / name, picture(length))
            save_annotation(root / annotation / split, Path(name).stem, length, task)
    if task == "detection":
        (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [square]\n")
    return large


def measured(arguments: list[str]) -> tuple[float, float, str]:
    """Seconds, the peak of memory in MB, and what a command of sightsmith prints."""
    begun, peak = time.monotonic(), 0.0
    process = subprocess.Popen([sys.executable, "-m", "sightsmith", *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
    reader.start()
    while process.poll() is None:
        peak = max(peak, anonymous(process.pid))
        time.sleep(0.02)
    reader.join()
    if process.returncode:
        sys.exit(f"sightsmith {' '.join(arguments)}\n{output[0]}")
    return time.monotonic() - begun, peak / 1000, output[0]


def anonymous(number: int) -> float:
    """KB of the process ``number`` and of those that it started."""
    total = 0
    try:
        for process in (top := psutil.Process(number), *top.children(recursive=True)):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
    except (psutil.Error, OSError):
        pass
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--task", choices=NETWORKS, default="detection")
    parser.add_argument("--only", choices=FORMS)
    options = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None
    print("| file | size, MB | inspect | train, one epoch | predict |\n|---|---|---|---|---|")
    for form in [options.only] if options.only else FORMS:
        root = options.folder / options.task / form.replace(".", "_")
        large, run = make(root, form, options.side, options.task), options.folder / "runs" / options.task / form
        base = [f"task={options.task}", f"dataset.root={root}"]
        cells = []
        for arguments in (["inspect", *base], ["train", *base, f"network={NETWORKS[options.task]}", *COMMON,
                                               f"output_dir={run}"]):
            seconds, peak, _ = measured(arguments)
            cells.append(f"{seconds:.0f} s, {peak:,.0f} MB")
        [finished] = [path.parent for path in run.glob("*/model.safetensors")][:1] or [next(run.iterdir())]
        seconds, peak, _ = measured(["predict", f"run={finished}", f"input={large}", f"output_dir={run / 'out'}"])
        cells.append(f"{seconds:.0f} s, {peak:,.0f} MB")
        print(f"| {form} | {large.stat().st_size / 1e6:,.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
