"""Label Studio's JSON-MIN: a record for each annotation, with its regions and choices under their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sightsmith.plugins.formats.label_studio_objects import is_region

FIELDS = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"})
CHOICES = ("choice", "choices", "label", "class", "category")
"""Usual names of a choice, where it is a plain text as anything else that a task knows."""


def is_min(task: dict[str, Any]) -> bool:
    return not task.keys() & {"data", "annotations", "completions", "result", "predictions"}


def choice_key(records: Sequence[dict[str, Any]], images: Iterable[str]) -> str | None:
    """The name of the choice in ``records``. Raises ValueError if several may be it and there is nothing else."""
    keys = dict.fromkeys(key for record in records for key in record if key not in FIELDS)
    several = [key for key in keys if any(_is_choices(record.get(key)) for record in records)]
    if several:
        return several[0]
    if any(_regions(value) for record in records for value in record.values()):
        return None
    texts = [key for key in keys if key not in images and any(isinstance(record.get(key), str) for record in records)]
    usual = [key for key in CHOICES if key in texts]
    if not usual and len(texts) > 1:
        raise ValueError(f"each of {', '.join(texts)} may be the choice of the annotators")
    return next(iter([*usual, *texts]), None)


def as_task(record: dict[str, Any], choice: str | None) -> dict[str, Any]:
    """``record`` as in an export as JSON."""
    results = []
    for key, value in record.items():
        results += [{**region, "value": region} for region in _regions(value)]
        if key == choice:
            names = value.get("choices") if isinstance(value, dict) else [value]
            results.append({"type": "choices", "value": {"choices": names}})
    return {"data": {key: value for key, value in record.items() if key != choice},
            "annotations": [{"id": record.get("annotation_id"), "result": results}]}


def _is_choices(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("choices"), list)


def _regions(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict) and is_region(item)] if isinstance(value, list) else []
