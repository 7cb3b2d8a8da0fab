"""Images per second and AP of sightsmith over mmengine's Runner, the same mmdet network on the same files.

    python benchmarks/engine_vs_runner.py [--network rtmdet_tiny] [--size 192] [--batch 8] [--epochs 10] [--seeds 3]

Real digits on canvases (the embedded data set of detection, five times as large) as JPEG files with COCO annotation.
Both sides train from scratch with the same batch size, epochs, AdamW, cosine schedule and no augmentation, validate
and write a checkpoint after each epoch, and run in a process of their own, in turn. The time is that of the whole call:
of ``sightsmith.train``, which also checks the data, tries precisions and writes model and report, and of
``Runner.from_cfg`` with ``train``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

CANVASES, VALIDATION = 250, 50
ENLARGED = 5
RATE, DECAY = 0.002, 0.05
BETAS = (0.9, 0.999)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="rtmdet_tiny")
    parser.add_argument("--size", type=int, default=192, help="side of the input, pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of the Runner; sightsmith chooses its own")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print("RESULT " + json.dumps(SIDES[options.side](options, options.folder)))
        return
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as temporary:
        classes = write_canvases(Path(temporary) / "data")
        print(f"{CANVASES - VALIDATION} images for training, {VALIDATION} for validation, classes {', '.join(classes)}")
        for seed in range(options.seeds):
            for side in list(SIDES)[::1 if seed % 2 else -1]:
                command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--seeds", str(seed),
                           "--folder", temporary]
                output = subprocess.run(command, capture_output=True, text=True)
                lines = [line for line in output.stdout.splitlines() if line.startswith("RESULT ")]
                if not lines:
                    sys.exit(f"{side} failed:\n{output.stdout[-2000:]}\n{output.stderr[-4000:]}")
                found[side].append(json.loads(lines[0].removeprefix("RESULT ")))
                print(f"  seed {seed} {side:10} " + ", ".join(f"{key} {value:.4g}" for key, value in
                                                              found[side][-1].items()), flush=True)
    for side, runs in found.items():
        print(f"{side:10} " + ", ".join(f"{key} {statistics.median(run[key] for run in runs):.4g}" for key in runs[0]))
    for key in ("images_per_second", "training_images_per_second"):
        ratios = [ours[key] / theirs[key] for ours, theirs in zip(found["sightsmith"], found["runner"], strict=True)]
        print(f"ratio of {key}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def write_canvases(folder: Path) -> list[str]:
    """COCO files ``train.json`` and ``val.json`` with ``images/*.jpg``; the classes."""
    from sightsmith.engine.data.masks import box, encode
    from sightsmith.plugins.openmmlab.sample import CLASSES, canvases

    (folder / "images").mkdir(parents=True)
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    number_of = {item["name"]: item["id"] for item in categories}
    parts: dict[str, dict[str, list[Any]]] = {
        side: {"images": [], "annotations": [], "categories": categories} for side in ("train", "val")}
    for number, canvas in enumerate(islice(canvases(), CANVASES)):
        part = parts["val" if number >= CANVASES - VALIDATION else "train"]
        height, width = (ENLARGED * side for side in canvas.image.shape)
        picture = Image.fromarray(canvas.image).resize((width, height), Image.Resampling.BICUBIC).convert("RGB")
        picture.save(folder / "images" / f"{number}.jpg", quality=92)
        part["images"].append({"id": number, "file_name": f"{number}.jpg", "width": width, "height": height})
        for mask, label in zip(canvas.masks, canvas.labels, strict=True):
            left, top, right, bottom = (ENLARGED * side for side in box(encode(mask)))
            part["annotations"].append({
                "id": sum(len(other["annotations"]) for other in parts.values()) + 1, "image_id": number,
                "category_id": number_of[label], "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top), "iscrowd": 0})
    for side, part in parts.items():
        (folder / f"{side}.json").write_text(json.dumps(part))
    return list(CLASSES)


def _sightsmith(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    import sightsmith
    import sightsmith.engine.pipeline.start
    from sightsmith.plugins.openmmlab.build import registry

    registry("mmdet")  # as for the Runner, imports do not count

    overrides = [
        "task=detection", f"dataset.root={folder / 'data'}", f"network={options.network}", "network.weights=none",
        f"image.size={options.size}", f"hyper.batch_size={options.batch}", f"hyper.epochs={options.epochs}",
        "hyper.early_stop=false", "hyper.optimizer=adamw", f"hyper.learning_rate={RATE}", "hyper.schedule=cosine",
        "hyper.warmup_epochs=1", f"hyper.weight_decay={DECAY}", f"hyper.momentum={BETAS[0]}",
        "augment.horizontal_flip=false", "augment.resized_crop=false", "augment.rotation=0", "augment.translation=0",
        f"trainer.seed={options.seeds}", f"output_dir={folder / 'runs'}"]
    begun = time.perf_counter()
    result = sightsmith.train(overrides)
    whole = time.perf_counter() - begun
    entries = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    return _figures(options, whole, entries[-1]["seconds"], [entry["ap"] or 0.0 for entry in entries])


def _runner(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.plugins.openmmlab import adapt, zoo
    from sightsmith.plugins.openmmlab.build import registry

    registry("mmdet")
    import mmdet.datasets
    import mmdet.evaluation  # noqa: F401
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    model = zoo.load_model("mmdet", load_plugins().network(options.network).options["config"])
    classes = [item["name"] for item in json.loads((folder / "data" / "train.json").read_text())["categories"]]
    adapt.drop_downloads(model)
    adapt.replace_sync_batch_norm(model)
    adapt.set_classes(model, len(classes))
    model["data_preprocessor"]["batch_augments"] = None
    updates = -(-(CANVASES - VALIDATION) // options.batch)
    load = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations", "with_bbox": True},
            # Not its default, bilinear: what a network learns from coarse pictures depends on how they were shrunk.
            {"type": "Resize", "scale": (options.size, options.size), "keep_ratio": True, "interpolation": "area"}]

    def loader(side: str, shuffle: bool) -> dict[str, Any]:
        return {"batch_size": options.batch, "num_workers": options.workers,
                "persistent_workers": options.workers > 0,
                "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
                "dataset": {"type": "CocoDataset", "data_root": str(folder / "data"), "ann_file": f"{side}.json",
                            "data_prefix": {"img": "images/"}, "metainfo": {"classes": classes},
                            "test_mode": not shuffle, "filter_cfg": {"filter_empty_gt": False},
                            "pipeline": [*load, {"type": "PackDetInputs", "meta_keys": (
                                "img_id", "img_path", "ori_shape", "img_shape", "scale_factor")}]}}

    config = Config({
        "default_scope": "mmdet", "model": model, "work_dir": str(folder / f"runner-{options.seeds}"),
        "train_dataloader": loader("train", True), "val_dataloader": loader("val", False),
        "train_cfg": {"by_epoch": True, "max_epochs": options.epochs, "val_interval": 1}, "val_cfg": {},
        "val_evaluator": {"type": "CocoMetric", "ann_file": str(folder / "data" / "val.json"), "metric": "bbox"},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {
            "type": "AdamW", "lr": RATE, "weight_decay": DECAY, "betas": BETAS},
            "paramwise_cfg": {"norm_decay_mult": 0.0, "bias_decay_mult": 0.0, "bypass_duplicate": True}},
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 1 / updates, "by_epoch": False, "begin": 0, "end": updates},
            {"type": "CosineAnnealingLR", "by_epoch": True, "begin": 1, "end": options.epochs,
             "T_max": options.epochs - 1, "eta_min": 0.0, "convert_to_iter_based": True}],
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1}},
        "env_cfg": {"mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}},
        "randomness": {"seed": options.seeds}, "log_level": "ERROR"})
    scores: list[float] = []

    class Scores(Hook):
        def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
            scores.append(max((metrics or {}).get("coco/bbox_mAP", 0.0), 0.0))

    begun = time.perf_counter()
    runner = Runner.from_cfg(config)
    runner.register_hook(Scores())
    trained = time.perf_counter()
    runner.train()
    end = time.perf_counter()
    return _figures(options, end - begun, end - trained, scores)


def _figures(options: argparse.Namespace, whole: float, training: float, scores: list[float]) -> dict[str, float]:
    images = options.epochs * (CANVASES - VALIDATION)
    return {"images_per_second": images / whole, "training_images_per_second": images / training,
            "last_ap": scores[-1], "best_ap": max(scores)}


SIDES = {"runner": _runner, "sightsmith": _sightsmith}

if __name__ == "__main__":
    main()
