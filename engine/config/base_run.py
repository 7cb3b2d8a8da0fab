"""The finished run that retraining starts from: ``flow=retrain base_run=RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightsmith.core.contracts.schema import PLATFORM, BaseRunConfig, Config
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import resolved_path
from sightsmith.engine.config.literal import quoted, without_interpolation
from sightsmith.engine.config.model_card import WEIGHTS, card_path, read_card, restore_config
from sightsmith.engine.config.run_names import find_run
from sightsmith.engine.config.run_plugins import ensure_plugins

RETRAIN_FREE_KEYS = ("augment", "network.class_renames", "base_run.distillation", "base_run.replay")
"""Keys that retraining takes from the base run, but that you may change."""


@dataclass(frozen=True)
class BaseRun:
    """A finished run. It locks task, network and preprocessing; the rest of its recipe is the default."""

    path: Path
    card: Mapping[str, Any]
    config: Config

    @property
    def free(self) -> tuple[str, ...]:
        return RETRAIN_FREE_KEYS

    @property
    def owner(self) -> str:
        return f"The base run {self.path}"

    @property
    def choice(self) -> str:
        return f"base_run={quoted(self.path)}"

    @property
    def task(self) -> str:
        return str(self.card["task"])

    def node(self) -> dict[str, Any]:
        """The option of Hydra's group ``base_run``, for the package ``_global_``."""
        config = self.config
        values = recipe(config)
        values["network"]["weights"] = str(card_path(self.path).with_name(WEIGHTS))
        return {"defaults": [{"override /task": self.task}, {"override /network": config.network.name},
                             {"override /recipe": PLATFORM}],
                "flow": "retrain", **without_interpolation(values),
                "base_run": without_interpolation(asdict(BaseRunConfig(str(self.path), list(self.card["classes"]))))}


def recipe(config: Config) -> dict[str, dict[str, Any]]:
    """The settings of ``config`` that training on other data reuses, without the network's name and weights."""
    own = {key: value for key, value in asdict(config.task).items() if key != "name"}
    return {"task": own, "network": {"options": config.network.options, "config": config.network.config},
            "image": asdict(config.image), "augment": asdict(config.augment), "hyper": asdict(config.hyper),
            "limits": asdict(config.limits),
            "dataset": {"tile": config.dataset.tile, "tile_overlap": config.dataset.tile_overlap}}


def find_base_run(folder: str | Path, plugins: Plugins) -> BaseRun:
    """The finished run in ``folder``. Raises UserError if there is none."""
    try:
        path = resolved_path(find_run(folder))
        card = read_card(path)
        ensure_plugins(path, plugins)
        return BaseRun(path, card, restore_config(card["config"], card_path(path), plugins.tasks))
    except UserError as error:
        raise UserError(f"base_run={folder}: {error.message}", hint=error.hint, problems=error.problems) from error
