"""The short names of zoo configurations, kept as a table per task so that listing does not import torch.

``python -m sightsmith.plugins.openmmlab.networks`` updates the other columns of the tables from the
installed packages' metafiles and by building each network, for the names and configurations in them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from sightsmith.plugin import NetworkRecord, Score, ZooNetwork
from sightsmith.plugins.openmmlab.licences import licence

TABLE = "networks.csv"
ZOO = "zoo.csv"
"""The networks of the zoos that can be trained, written by ``benchmarks/zoo.py``."""

ZOO_COLUMNS = ("package", "config", "annotation", "pretrained", "result", "input_size", "reason")
OK, FAILED, UNSUPPORTED, UNTRIED = "ok", "failed", "unsupported", "untried"
COLUMNS = ("name", "config", "family", "annotation", "input_size", "min_size", "parameters", "metric", "score",
           "milliseconds", "hardware", "weights", "pretrained", "source", "dataset")
ATTENTION, ATTENTION_RATE = ("deformable_detr", "dino", "mask2former", "segformer", "segnext", "upernet_swin"), 1e-4
"""Families with attention, and AdamW's learning rate for fine-tuning them, in the order of their authors' rates."""
PACKAGES = {"sightsmith.plugins.detection": "mmdet", "sightsmith.plugins.segmentation": "mmseg"}


def records(package: str, task: str) -> list[NetworkRecord]:
    """One record per row of the table in ``package``."""
    text = files(package).joinpath(TABLE).read_text(encoding="utf-8")
    return [
        NetworkRecord(
            name=row["name"], description=f"{row['family']}, {PACKAGES[package]}", task=task,
            builder="sightsmith.plugins.openmmlab.build:build_model", family=row["family"],
            annotation=row["annotation"] or None,  # type: ignore[arg-type]
            parameters=int(row["parameters"] or 0), input_size=int(row["input_size"]),
            min_size=int(row["min_size"]) if row["min_size"] else None,
            score=Score(row["metric"], float(row["score"]), row["dataset"], row["source"]) if row["score"] else None,
            speed=f"{row['milliseconds']} ms per image, {row['hardware']}" if row["milliseconds"] else "",
            weights=row["weights"], pretrained=row["pretrained"], licence=licence(row["config"]),
            published=f"sightsmith.plugins.openmmlab.published:{PACKAGES[package]}",
            recipe=f"sightsmith.plugins.openmmlab.recipe:{PACKAGES[package]}",
            learning_rate=ATTENTION_RATE if row["family"] in ATTENTION else None,
            **({"options": {"config": row["config"]}} if row["config"] else
               {"zoo": f"{__name__}:{PACKAGES[package]}"}))
        for row in csv.DictReader(text.splitlines())
    ]


def mmdet() -> list[ZooNetwork]:
    """The zoo of mmdet."""
    return _zoo("mmdet")


def mmseg() -> list[ZooNetwork]:
    """The zoo of mmsegmentation."""
    return _zoo("mmseg")


def _zoo(package: str) -> list[ZooNetwork]:
    return [ZooNetwork(row["config"], row["annotation"] or None,  # type: ignore[arg-type]
                       {OK: True, UNTRIED: None}.get(row["result"], False),
                       "" if row["result"] == OK else row["reason"], row["pretrained"])
            for row in _swept() if row["package"] == package]


def _swept() -> Iterator[dict[str, str]]:
    text = files("sightsmith.plugins.openmmlab").joinpath(ZOO).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def described(package: str, row: dict[str, Any]) -> dict[str, Any]:
    """``row`` with the metrics of the metafile, the number of parameters, the input size used in the sweep of the zoo,
    and the published weights."""
    from sightsmith.plugins.openmmlab import adapt, zoo
    from sightsmith.plugins.openmmlab.build import build_model
    from sightsmith.plugins.openmmlab.published import entry, published

    if not row["config"]:
        return row
    model = zoo.load_model(package, row["config"])
    adapt.drop_downloads(model)
    adapt.replace_sync_batch_norm(model)
    built = build_model(model, package)
    best = next(published(package, row["config"]), None)
    row |= {"parameters": sum(parameter.numel() for parameter in built.parameters()),
            "weights": best.url.rsplit("/", 1)[-1] if best else "", "pretrained": best.dataset if best else ""}
    row["min_size"] = next(tried["input_size"] for tried in _swept()
                           if (tried["package"], tried["config"]) == (package, row["config"]))
    found = entry(package, row["config"])
    results = found.get("Results", [])
    results = results if isinstance(results, list) else [results]
    metrics = {name: value for result in results for name, value in result.get("Metrics", {}).items()}
    preferred = ("mask AP", "box AP", "mIoU", "Dice") if row["annotation"] == "masks" else ("box AP", "mIoU", "Dice")
    row["metric"] = next((name for name in preferred if name in metrics), "")
    row["score"] = metrics.get(row["metric"], "")
    row["source"] = f"{package} metafile" if row["metric"] else ""
    row["dataset"] = results[0].get("Dataset", "") if row["metric"] else ""
    speeds = found.get("Metadata", {}).get("inference time (ms/im)") or []
    speed = speeds[0] if isinstance(speeds, list) and speeds else {}
    row["milliseconds"] = speed.get("value", "")
    row["hardware"] = " ".join(str(speed[key]) for key in ("hardware", "mode", "resolution") if key in speed)
    return row


def main() -> None:
    root = Path(__file__).parent.parent
    for module, package in PACKAGES.items():
        path = root / module.rsplit(".", 1)[-1] / TABLE
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n", restval="")
            writer.writeheader()
            for row in rows:
                writer.writerow(described(package, row))
                print(row["name"], row["parameters"], row["metric"], row["score"], flush=True)


if __name__ == "__main__":
    main()
