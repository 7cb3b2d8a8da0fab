"""The names of numbered classes in Hugging Face data sets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sightsmith.plugin import read_integer, read_text

CARD = "README.md"
LARGEST_CARD = 2**20


def names_in_card(root: Path) -> Mapping[str, tuple[str, ...]]:
    """The classes by column, as the data set's card says; none if there is no card or it says nothing."""
    path = root / CARD
    text, _ = read_text(path, root, LARGEST_CARD) if os.path.isfile(path) else (None, None)
    front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text or "", re.DOTALL)
    try:
        content = yaml.safe_load(front[1]) if front else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    info = content.get("dataset_info") if isinstance(content, dict) else None
    infos = info if isinstance(info, list) else [info]
    features = next((info.get("features") for info in infos if isinstance(info, dict)), None)
    return _by_column({feature["name"]: feature for feature in features if isinstance(feature, dict)
                       and isinstance(feature.get("name"), str)} if isinstance(features, list) else {})


def names_in_features(content: Any) -> Mapping[str, tuple[str, ...]]:
    """The classes by column, of the features that a Parquet file holds as JSON."""
    info = content.get("info") if isinstance(content, dict) else None
    features = info.get("features") if isinstance(info, dict) else None
    return _by_column(features if isinstance(features, dict) else {})


def _by_column(features: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    found = {column: _names(feature, 0) for column, feature in features.items()}
    return {column: names for column, names in found.items() if names}


def _names(feature: Any, depth: int) -> tuple[str, ...]:
    """The first list of names in a feature."""
    if depth > 8 or not isinstance(feature, (dict, list)):
        return ()
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, dict) and all(read_integer(key) is not None for key in names):
        names = [names[key] for key in sorted(names, key=lambda key: read_integer(key) or 0)]
    if isinstance(names, list) and names:
        return tuple(str(name) for name in names)
    inner = feature.values() if isinstance(feature, dict) else feature
    return next((found for value in inner if (found := _names(value, depth + 1))), ())
