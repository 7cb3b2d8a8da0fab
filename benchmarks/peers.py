"""Detection and instance segmentation from scratch against Ultralytics' own default command, in the same time.

    python -m venv peers && peers/bin/pip install -r benchmarks/requirements-peers.txt
    python benchmarks/peers.py --peer peers/bin/python --stardist stardist-0.9.2-*.whl --set nuclei [--seeds 3] \\
        [--size 256] [OVERRIDE ...]

Get the data with ``pip download --no-deps stardist==0.9.2 deepforest==2.1.0``. The sets are tiles of real photos, 100
of them to train: ``nuclei`` and ``nuclei-masks`` (stardist), ``crowns`` (``--deepforest``).

For each seed, ``sightsmith train`` runs with the overrides, then YOLO11n from its yaml, without weights, with
Ultralytics' defaults and ``time=`` set to what the first side took. Each runs in a process of its own and keeps what is
best on the tiles held out; pycocotools scores the predictions of both on these tiles, 300 a tile. ``--size`` is the
input of both sides; without it, each has its own default.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDES = ("sightsmith", "ultralytics")
MOST = 300
"""Predictions of a tile."""
FIGURES = ("AP", "AP50", "images/s", "epochs", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=SETS, default="nuclei")
    parser.add_argument("--stardist", type=Path)
    parser.add_argument("--deepforest", type=Path)
    parser.add_argument("--peer", type=Path, required=True, help="the Python that has Ultralytics")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int)
    parser.add_argument("overrides", nargs="*", help="of sightsmith train")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        SETS[options.set](options, data)
        write_yolo(data, masks=options.set.endswith("masks"))
        for seed in range(options.seeds):
            for side, python in zip(SIDES, (sys.executable, options.peer), strict=True):
                asked = {"data": str(data), "work": str(Path(temporary) / f"{side}-{seed}"), "seed": seed,
                         "size": options.size, "masks": options.set.endswith("masks"), "overrides": options.overrides,
                         "hours": found["sightsmith"][-1]["seconds"] / 3600 if side == "ultralytics" else None}
                found[side].append(_run(python, side, asked, data))
                print(f"  seed {seed} {side:11} " + ", ".join(
                    f"{name} {found[side][-1][name]:.4g}" for name in FIGURES), flush=True)
    _print_table(options.set, found)


def _run(python: str | Path, side: str, asked: dict[str, Any], data: Path) -> dict[str, float]:
    """Train and predict in a process of ``python``; the score, and how long it took."""
    begun = time.perf_counter()
    done = subprocess.run([python, __file__, "--side", side, json.dumps(asked)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    answer = json.loads((Path(asked["work"]) / "answer.json").read_text())
    return {**score(data / "val.json", answer["objects"], "segm" if asked["masks"] else "bbox"),
            "images/s": answer["images"] * answer["epochs"] / answer["training"], "epochs": answer["epochs"],
            "seconds": answer["seconds"], "process": time.perf_counter() - begun}


def _print_table(name: str, found: dict[str, list[dict[str, float]]]) -> None:
    from intervals import interval

    for side, runs in found.items():
        means = ", ".join(f"{figure} {statistics.fmean(run[figure] for run in runs):.4g}" for figure in FIGURES)
        print(f"{name} {side}: {means}; {len(runs)} seeds")
    for figure in ("AP", "AP50"):
        pairs = [one[figure] - other[figure] for one, other in zip(*found.values(), strict=True)]
        print(f"{name} sightsmith - ultralytics, {figure}: {statistics.fmean(pairs):+.4f} {interval(pairs)}")


# The data, as COCO for one side and for the score, and as YOLO for the other


def write_nuclei(options: argparse.Namespace, root: Path) -> None:
    """COCO files ``train.json`` and ``val.json`` with boxes and outlines of nuclei, and ``images/*.png``."""
    import cv2
    import numpy as np
    from nuclei import tiles
    from PIL import Image

    (root / "images").mkdir(parents=True)
    content = {part: {"images": [], "annotations": [], "categories": [{"id": 1, "name": "nucleus"}]}
               for part in ("train", "val")}
    for number, (part, name, picture, mask) in enumerate(tiles(options.stardist, side=128, rows=10, columns=10)):
        Image.fromarray(picture).convert("RGB").save(root / "images" / f"{part}-{name}")
        content[part]["images"].append({"id": number, "file_name": f"{part}-{name}", "width": mask.shape[1],
                                        "height": mask.shape[0]})
        for instance in np.unique(mask[mask > 0]):
            outlines, _ = cv2.findContours((mask == instance).astype(np.uint8), cv2.RETR_EXTERNAL,
                                           cv2.CHAIN_APPROX_NONE)
            outline = max(outlines, key=len).reshape(-1, 2)
            if len(outline) < 8:  # a sliver at the edge
                continue
            (left, top), (right, bottom) = outline.min(0).tolist(), (outline.max(0) + 1).tolist()
            content[part]["annotations"].append({
                "id": sum(len(item["annotations"]) for item in content.values()) + 1, "image_id": number,
                "category_id": 1, "bbox": [left, top, right - left, bottom - top], "iscrowd": 0,
                "area": int((mask == instance).sum()), "segmentation": [outline.astype(float).ravel().tolist()]})
    for part, values in content.items():
        (root / f"{part}.json").write_text(json.dumps(values))


def write_crowns(options: argparse.Namespace, root: Path) -> None:
    from crowns import PHOTO, write_tiles

    write_tiles(options.deepforest, PHOTO, root, side=104, held_out=2)


SETS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "nuclei": write_nuclei, "nuclei-masks": write_nuclei, "crowns": write_crowns}


def write_yolo(data: Path, masks: bool) -> None:
    """The folder ``yolo`` beside ``data``, with the same images, and boxes or outlines."""
    for part in ("train", "val"):
        content = json.loads((data / f"{part}.json").read_text())
        for kind in ("images", "labels"):
            (data.with_name("yolo") / kind / part).mkdir(parents=True)
        for image in content["images"]:
            name, width, height = image["file_name"], image["width"], image["height"]
            os.link(data / "images" / name, data.with_name("yolo") / "images" / part / name)
            rows = []
            for item in (item for item in content["annotations"] if item["image_id"] == image["id"]):
                x, y, w, h = item["bbox"]
                values = item["segmentation"][0] if masks else [x + w / 2, y + h / 2, w, h]
                rows.append(" ".join(["0", *(f"{value / (height if number % 2 else width):.6f}"
                                             for number, value in enumerate(values))]))
            (data.with_name("yolo") / "labels" / part / f"{Path(name).stem}.txt").write_text("\n".join(rows))
    names = [category["name"] for category in content["categories"]]
    (data.with_name("yolo") / "data.yaml").write_text(json.dumps(  # JSON is YAML
        {"path": str(data.with_name("yolo")), "train": "images/train", "val": "images/val", "names": names}))


def score(truth: Path, objects: list[dict[str, Any]], kind: str) -> dict[str, float]:
    """AP and AP50 of ``objects``, COCO results, by pycocotools; ``kind`` is ``bbox`` or ``segm``."""
    from contextlib import redirect_stdout

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(sys.stderr):
        coco = COCO(str(truth))
        evaluation = COCOeval(coco, coco.loadRes(objects), kind) if objects else None
        if evaluation is None:
            return {"AP": 0.0, "AP50": 0.0}
        evaluation.params.maxDets = [1, 10, MOST]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # thresholds, recalls, classes
    return {"AP": float(precision[precision > -1].mean()), "AP50": float(precision[0][precision[0] > -1].mean())}


# The sides, each in a process of its own


def train_sightsmith(asked: dict[str, Any], images: list[dict[str, Any]]) -> dict[str, Any]:
    import sightsmith
    from sightsmith.engine.runs.run_dir import RunDir

    data, begun = Path(asked["data"]), time.perf_counter()
    size = [f"image.size={asked['size']}"] if asked["size"] else []
    network = ["network=rtmdet_ins_tiny"] if asked["masks"] else []
    result = sightsmith.train([
        "task=detection", f"dataset.root={data}", "network.weights=none", *network, *size, *asked["overrides"],
        f"trainer.seed={asked['seed']}", "dataset.folds=none", "dataset.refit=false", "logger=[]",
        f"output_dir={asked['work']}"])
    seconds, history = time.perf_counter() - begun, RunDir(result.run_dir).read_metrics()
    objects = []
    for image, found in zip(images, result.predict([data / "images" / image["file_name"] for image in images]),
                            strict=True):
        for item in found.objects[:MOST]:
            left, top, right, bottom = item.box
            objects.append({"image_id": image["id"], "category_id": 1, "score": item.score,
                            "bbox": [left, top, right - left, bottom - top]})
            if item.mask is not None:
                objects[-1]["segmentation"] = {"size": [item.mask.height, item.mask.width],
                                               "counts": item.mask.counts.decode()}
    return {"objects": objects, "epochs": len(history), "training": history[-1]["seconds"], "seconds": seconds}


def train_ultralytics(asked: dict[str, Any], images: list[dict[str, Any]]) -> dict[str, Any]:
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_CONFIG_DIR"] = asked["work"]
    import numpy as np
    from pycocotools import mask as run_lengths
    from ultralytics import YOLO, settings

    settings.update({"sync": False, "raytune": False})  # no telemetry; a tuner that is installed is not asked
    data, begun = Path(asked["data"]), time.perf_counter()
    size = {"imgsz": asked["size"]} if asked["size"] else {}
    model = YOLO("yolo11n-seg.yaml" if asked["masks"] else "yolo11n.yaml")
    model.train(data=str(data.with_name("yolo") / "data.yaml"), time=asked["hours"], seed=asked["seed"], device="cpu",
                project=asked["work"], name="run", **size)
    seconds = time.perf_counter() - begun
    lines = (Path(asked["work"]) / "run" / "results.csv").read_text().splitlines()
    training = float(lines[-1].split(",")[lines[0].replace(" ", "").split(",").index("time")])
    best, objects = YOLO(Path(asked["work"]) / "run" / "weights" / "best.pt"), []
    for image in images:
        # The thresholds of Ultralytics' own validation.
        [found] = best.predict(str(data / "images" / image["file_name"]), conf=0.001, iou=0.7, max_det=MOST,
                               device="cpu", retina_masks=True, verbose=False, **size)
        for number, (box, sure) in enumerate(zip(found.boxes.xyxy.tolist(), found.boxes.conf.tolist(), strict=True)):
            left, top, right, bottom = box
            objects.append({"image_id": image["id"], "category_id": 1, "score": sure,
                            "bbox": [left, top, right - left, bottom - top]})
            if found.masks is not None:
                coded = run_lengths.encode(np.asfortranarray(found.masks.data[number].numpy().astype(np.uint8)))
                objects[-1]["segmentation"] = {"size": coded["size"], "counts": coded["counts"].decode()}
    return {"objects": objects, "epochs": len(lines) - 1, "training": training, "seconds": seconds}


def _side(name: str, asked: dict[str, Any]) -> None:
    """What the process of a side does."""
    Path(asked["work"]).mkdir(parents=True)
    content = {part: json.loads((Path(asked["data"]) / f"{part}.json").read_text()) for part in ("train", "val")}
    train = {"sightsmith": train_sightsmith, "ultralytics": train_ultralytics}[name]
    answer = {**train(asked, content["val"]["images"]), "images": len(content["train"]["images"])}
    (Path(asked["work"]) / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    if sys.argv[1] == "--side":
        _side(sys.argv[2], json.loads(sys.argv[3]))
    else:
        main()
