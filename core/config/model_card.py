"""The card of a finished run's model bundle: which model to build, and how to preprocess its input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError, near

BUNDLE_FORMAT = 1
FOLDER = "model"
WEIGHTS = "model.safetensors"
CARD = "model.json"


def card_path(run: Path) -> Path:
    return run / FOLDER / CARD


def read_card(run: Path) -> dict[str, Any]:
    """The card of the model bundle of ``run``. Raises UserError if it is missing or damaged."""
    path = card_path(run)
    try:
        text = path.read_text()
        _validate_no_interpolation(text)
        card: dict[str, Any] = json.loads(text)
    except OSError as error:
        raise UserError(f"{run} is not a finished run: its folder model/ has no {path.name}",
                        hint="`sightsmith list runs` shows the runs") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not isinstance(card, dict) or card.get("format") != BUNDLE_FORMAT:
        raise UserError(f"{path} does not have format {BUNDLE_FORMAT}, the one that this version reads",
                        hint="upgrade sightsmith: pip install --upgrade sightsmith")
    keys = ("task", "network", "classes", "multi_label", "metrics", "config")
    if missing := [key for key in keys if key not in card]:
        raise UserError(f"{path} is damaged: it has no {', '.join(missing)}")
    return card


def restore_config(values: Any, path: Path, tasks: Mapping[str, TaskRecord]) -> Config:
    """The configuration with the nested ``values`` of the file ``path``, for one of ``tasks``. Raises UserError if they
    are invalid."""
    try:
        _validate_no_interpolation(json.dumps(values))
        if (name := values["task"]["name"]) not in tasks:
            raise UserError(f"{path}: no installed plugin provides the task {name!r}.{near(str(name), tasks)}",
                            hint="`sightsmith list tasks` shows what is installed")
        empty = Config(task=tasks[name].build_settings()(MISSING))
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(empty), values))
    except (OmegaConfBaseException, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    assert isinstance(config, Config)
    return config


def _validate_no_interpolation(text: str) -> None:
    if "${" in text:  # OmegaConf would resolve it, also from the environment
        raise ValueError("it has an interpolation ${...}, which a finished run never has")
