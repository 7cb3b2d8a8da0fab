"""Reads the files of a run folder that decide how it is resumed or repeated. What is damaged is a UserError."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sightsmith.core.contracts.schema import TrainerConfig
from sightsmith.core.util.reading import Damaged, read_json, read_yaml
from sightsmith.engine.runs.run_dir import RunDir

HINT = "restore the file from a copy of the run, or start a new run without trainer.resume"


def read_config(run: RunDir) -> dict[str, Any]:
    """The content of config.yaml, nested and unchecked but for its groups being mappings."""
    content: dict[str, Any] = read_yaml(run.config, {"name": str, "task": dict, "hyper": dict, "trainer": dict}, HINT)
    return content


def read_overrides(run: RunDir) -> list[str]:
    """What the run was started with."""
    content = read_yaml(run.overrides, hint=HINT)
    if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
        raise Damaged(run.overrides, "it is not a list of overrides", HINT)
    return content


def read_plan(run: RunDir) -> dict[str, Any]:
    """The plan, as far as a resumed run keeps it: ``precision``, ``memory_format``, ``micro_batch`` and ``folds``."""
    plan: dict[str, Any] = read_json(run.plan, {"precision": str, "memory_format": str, "micro_batch": int,
                                                "folds": int, "folds_reason": str}, HINT)
    for entry in fields(TrainerConfig):
        if entry.name in ("precision", "memory_format") and plan[entry.name] not in entry.metadata["choices"][1:]:
            raise Damaged(run.plan, f"{entry.name} is {plan[entry.name]!r}", HINT)
    if plan["micro_batch"] < 1:
        raise Damaged(run.plan, f"micro_batch is {plan['micro_batch']}", HINT)
    if plan["folds"] < 0 or plan["folds"] == 1:
        raise Damaged(run.plan, f"folds is {plan['folds']}", HINT)
    return plan
