"""The table of torchvision's classification networks, kept as a file so that listing does not import torch.

``python -m sightsmith.plugins.classification.networks`` regenerates it from torchvision's metadata.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib.resources import files
from typing import Any

from sightsmith.plugin import NetworkRecord, PublishedWeights, Score

TABLE = "networks.csv"
COLUMNS = ("name", "family", "parameters", "input_size", "min_size", "top1", "top5", "gflops", "weights",
           "weights_file", "licence", "source", "dataset")
ADDRESS = "https://download.pytorch.org/models"
LICENCE = "BSD-3-Clause (torchvision)"
ATTENTION, ATTENTION_RATE = ("convnext", "maxvit", "swin_transformer", "vision_transformer"), 1e-4
"""Families with attention, or trained like them, and AdamW's learning rate for fine-tuning them."""
SWAG_LICENCE = "CC-BY-NC-4.0"
"""Of the weights whose metadata in torchvision links to a licence."""


def records() -> list[NetworkRecord]:
    """One record per network, from the table."""
    text = files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    return [
        NetworkRecord(
            name=row["name"], description=f"{row['family']}, torchvision", task="classification",
            builder="sightsmith.plugins.classification.model:build_classifier", family=row["family"],
            parameters=int(row["parameters"]), input_size=int(row["input_size"]), min_size=int(row["min_size"]),
            gflops=float(row["gflops"]), score=Score("top-1", float(row["top1"]), row["dataset"], row["source"]),
            weights=row["weights"], pretrained="ImageNet", licence=row["licence"],
            published="sightsmith.plugins.classification.networks:published",
            recipe="sightsmith.plugins.classification.recipe:published",
            learning_rate=ATTENTION_RATE if row["family"] in ATTENTION else None)
        for row in csv.DictReader(text.splitlines())
    ]


def published(record: NetworkRecord, config: str | None) -> list[PublishedWeights]:
    """The weights of the table, and the same without the last layer."""
    text = files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    [file] = [row["weights_file"] for row in csv.DictReader(text.splitlines()) if row["name"] == record.name]
    whole = PublishedWeights(f"{ADDRESS}/{file}", "ImageNet", record.licence)
    return [whole, replace(whole, backbone=True)]


def torchvision_rows() -> list[dict[str, Any]]:
    """The table's rows from the metadata of the installed torchvision; builds no network."""
    import torchvision
    from torchvision.models import get_model_weights, list_models

    rows = []
    for name in list_models(module=torchvision.models):
        best = get_model_weights(name).DEFAULT
        meta, score = best.meta, best.meta["_metrics"]["ImageNet-1K"]
        module = torchvision.models.get_model_builder(name).__module__.rsplit(".", 1)[-1]
        size = best.transforms.keywords["crop_size"]
        rows.append({
            "name": name, "family": module, "parameters": meta["num_params"], "input_size": size,
            "min_size": max(meta.get("min_size", (1, 1))), "top1": score["acc@1"], "top5": score["acc@5"],
            "gflops": meta["_ops"], "weights": best.name, "weights_file": best.url.rsplit("/", 1)[-1],
            "licence": SWAG_LICENCE if "SWAG" in meta.get("license", "") else LICENCE,
            "source": f"torchvision {torchvision.__version__.split('+')[0]} metadata",
            "dataset": "ImageNet-1K"})
    return rows


if __name__ == "__main__":
    from pathlib import Path

    with (Path(__file__).parent / TABLE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(torchvision_rows())
