"""The card of a finished run's model bundle: which model to build, and how to preprocess its input."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.contracts.keys import literal_kind, walk
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError, near
from sightsmith.core.util.reading import Damaged, Kind, read_json, validate_fields
from sightsmith.core.util.text import is_text
from sightsmith.engine.config.literal import validate_no_interpolation, without_interpolation
from sightsmith.engine.config.unfinished import not_finished

BUNDLE_FORMAT = 1
FOLDER = "model"
WEIGHTS = "model.safetensors"
CARD = "model.json"
KINDS: Mapping[str, Kind] = {"task": str, "network": str, "classes": list, "multi_label": bool, "metrics": dict,
                             "config": dict, "members": int | None, "origin": dict | None}
"""What a card has, apart from its format."""
HINT = "restore the run from a copy, or train it again"


def card_path(run: Path) -> Path:
    return run / FOLDER / CARD


def read_card(run: Path) -> dict[str, Any]:
    """The card of the model bundle of ``run``. Raises UserError if it is missing or damaged."""
    path = card_path(run)
    if not is_text(str(run.absolute())):
        raise UserError(f"{run.absolute()}: its name is not UTF-8, so no model can be read from it", hint="rename it")
    if not os.path.lexists(path):
        raise not_finished(run)
    card: dict[str, Any] = read_json(path, hint=HINT)
    if not isinstance(card, dict) or card.get("format") != BUNDLE_FORMAT:
        raise UserError(f"{path} does not have format {BUNDLE_FORMAT}, the one that this version reads",
                        hint="upgrade sightsmith: pip install --upgrade sightsmith")
    try:
        validate_fields(card, KINDS)
        if not card["classes"] or not all(isinstance(name, str) for name in card["classes"]):
            raise ValueError("classes is not a list of names")
        if not all(value is None or type(value) in (int, float) for value in card["metrics"].values()):
            raise ValueError("metrics has a value that is not a number")
        for key in ("task", "network"):
            validate_no_interpolation(card[key], key)
    except ValueError as error:
        raise Damaged(path, str(error), HINT) from error
    return card


def restore_config(values: Any, path: Path, tasks: Mapping[str, TaskRecord]) -> Config:
    """The configuration with the nested ``values`` of the file ``path``, for one of ``tasks``. Raises UserError if they
    are invalid."""
    try:
        validate_fields(values, {"task": dict})
        if not isinstance(name := values["task"].get("name"), str):
            raise ValueError("task.name is not text")
        validate_no_interpolation(name, "task.name")
        if name not in tasks:
            raise UserError(f"{path}: no installed plugin provides the task {name!r}.{near(name, tasks)}",
                            hint="`sightsmith list tasks` shows what is installed")
        empty = Config(task=tasks[name].build_settings()(MISSING))
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(empty), without_interpolation(values)))
        for key, entry, value in walk(config):
            if literal_kind(entry) is None and isinstance(value, str):
                validate_no_interpolation(value, key)
    except (OmegaConfBaseException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(path, str(error).splitlines()[0], HINT) from error
    assert isinstance(config, Config)
    return config
