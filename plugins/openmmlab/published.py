"""What OpenMMLab publishes for its configurations: trained networks and backbones, by the packages' metafiles."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from pathlib import PurePosixPath
from typing import Any

from sightsmith.plugin import NetworkRecord, PublishedWeights
from sightsmith.plugins.openmmlab import adapt, zoo
from sightsmith.plugins.openmmlab.licences import licence

HOSTS = ("https://download.openmmlab.com/", "https://github.com/")
"""Where files are taken from: a mistyped host in a metafile could belong to anybody."""


def mmdet(record: NetworkRecord, config: str | None) -> Iterator[PublishedWeights]:
    """The builder for networks of mmdet."""
    return published("mmdet", str(record.options.get("config") or config))


def mmseg(record: NetworkRecord, config: str | None) -> Iterator[PublishedWeights]:
    """The builder for networks of mmsegmentation."""
    return published("mmseg", str(record.options.get("config") or config))


def published(package: str, config: str) -> Iterator[PublishedWeights]:
    """The network of the configuration, if it is published, then its backbone."""
    found = entry(package, config)
    if url := _checkpoint(found):
        yield PublishedWeights(url, _dataset(package, config, found), licence(config))
    if url := backbone(package, config):
        yield PublishedWeights(url, "backbone", licence(config), backbone=True)


def entry(package: str, config: str) -> Mapping[str, Any]:
    """The entry of a configuration in the metafiles of its folder; empty without one."""
    folder, name = PurePosixPath(config).parent, PurePosixPath(config).name
    # Some entries have a wrong folder, and some configurations two entries, of which one belongs to another: the file
    # of weights is named after its own.
    found = [item for item in _entries(package, str(folder)) if PurePosixPath(item.get("Config", "")).stem == name]
    return max(found, key=lambda item: SequenceMatcher(None, name, _checkpoint(item)).ratio(), default={})


@functools.cache
def _entries(package: str, folder: str) -> list[dict[str, Any]]:
    import yaml

    found = []
    for path in sorted((zoo.folder(package) / folder).glob("metafile.y*ml")):
        content = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        found += content.get("Models", []) if isinstance(content, dict) else content
    return found


def pretrained(package: str, config: str) -> str:
    """What the best of the published files was trained on, for the tables; empty if nothing is published."""
    best = next(published(package, config), None)
    return best.dataset if best else ""


def _checkpoint(item: Mapping[str, Any]) -> str:
    """The URL of the published network; empty without one, and for several networks at once."""
    url = item.get("Weights")
    return url if isinstance(url, str) and url.startswith(HOSTS) else ""


def _dataset(package: str, config: str, item: Mapping[str, Any]) -> str:
    """The data set that the network of the entry ``item`` was trained on."""
    results = item.get("Results") or []
    named = [str(result.get("Dataset", "")) for result in (results if isinstance(results, list) else [results])]
    found = next((name for name in named if name and not name.startswith("#")), "")
    return found or str(zoo.load(package, config).get("dataset_type", "")).removesuffix("Dataset")


def backbone(package: str, config: str) -> str:
    """The URL of the backbone that the configuration itself starts from; empty without one."""
    model = zoo.load_model(package, config)
    downloads = adapt.drop_downloads(model)
    url = address(downloads[0]) if downloads else ""
    return url if url.startswith(("https://", "http://")) else ""


def address(checkpoint: str) -> str:
    """The URL of ``torchvision://name`` or ``open-mmlab://name``; others are URLs already, or paths."""
    kind, _, name = checkpoint.partition("://")
    if kind == "torchvision":
        from torchvision.models import get_model_weights

        # The first version of the weights, which the zoo's recipes and scores use.
        return str(get_model_weights(name)["IMAGENET1K_V1"].url)
    if kind in ("open-mmlab", "openmmlab"):
        from mmengine.runner.checkpoint import get_external_models

        return str(get_external_models().get(name, ""))
    return checkpoint
