"""A finished run and its model bundle, opened again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.errors import UserError
from sightsmith.core.files import write_json
from sightsmith.core.plugins import load_plugins
from sightsmith.core.rundir import RunFolder
from sightsmith.core.schema import Config

if TYPE_CHECKING:
    from torch import nn

    from sightsmith.core.prediction import Prediction
    from sightsmith.core.task import Task

BUNDLE_FORMAT = 1
WEIGHTS = "model.safetensors"
CARD = "model.json"


@dataclass(frozen=True)
class Result:
    """A run: its folder, the figures of its best checkpoint, and its model.

    ``metrics`` maps a figure's name to its value on the validation part; None is undefined.
    """

    run_dir: Path
    metrics: dict[str, float | None]
    classes: tuple[str, ...]

    @property
    def report(self) -> Path:
        return RunFolder(self.run_dir).report / "index.html"

    @cached_property
    def task(self) -> Task:
        """The task as the run used it, with its configuration and classes."""
        card = read_card(self.run_dir)
        plugins = load_plugins()
        config = restore_config(card["config"], RunFolder(self.run_dir).model / CARD)
        builder = plugins.task(card["task"]).build()
        opened: Task = builder(config, plugins.network(card["network"]), card["classes"], card["multi_label"])
        return opened

    @cached_property
    def model(self) -> nn.Module:
        """The best model in eval mode on the CPU, in mmengine's BaseModel contract."""
        from sightsmith.core.checkpoint import load_tree

        model, _ = self.task.build_model(load_weights=False)
        model.load_state_dict(load_tree(RunFolder(self.run_dir).model / WEIGHTS)["model"])
        return model.eval()

    def predict(self, paths: Iterable[str | Path], device: str = "cpu") -> Iterator[Prediction]:
        """What the model says of each image in ``paths``, and of each frame of a file that has several; images are cut
        into tiles as in training. Raises UserError that names every file that cannot be read."""
        import torch

        from sightsmith.core.predict import predict

        return predict(self, paths, torch.device(device))

    @classmethod
    def load(cls, run: str | Path) -> Result:
        """Raises UserError where ``run`` is not the folder of a finished run."""
        card = read_card(Path(run))
        return cls(Path(run).resolve(), card["metrics"], tuple(card["classes"]))


def save_bundle(run: RunFolder, task: Task, state: dict[str, Any], metrics: dict[str, float | None]) -> None:
    """Write ``model/``: the weights and a card that says how to build and feed the network."""
    from sightsmith.core.checkpoint import save_tree

    save_tree(run.model / WEIGHTS, {"model": state, "classes": list(task.classes)})
    write_json(run.model / CARD, {
        "format": BUNDLE_FORMAT, "task": task.config.task.name, "network": task.network.name,
        "classes": list(task.classes), "multi_label": task.multi_label, "input_size": task.input_size(),
        "metrics": metrics, "config": asdict(task.config),
    })


def read_card(run: Path) -> dict[str, Any]:
    """What the bundle of ``run`` says of itself. Raises UserError where there is none, or it is damaged."""
    path = RunFolder(run).model / CARD
    try:
        text = path.read_text()
        _refuse_interpolations(text)
        card: dict[str, Any] = json.loads(text)
    except OSError as error:
        raise UserError(f"{run} holds no finished run: {path.name} is not in its folder model/",
                        hint="`sightsmith list runs` shows the runs") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not isinstance(card, dict) or card.get("format") != BUNDLE_FORMAT:
        raise UserError(f"{path} is not a card of format {BUNDLE_FORMAT}, which this version reads",
                        hint="upgrade sightsmith: pip install --upgrade sightsmith")
    keys = ("task", "network", "classes", "multi_label", "metrics", "config")
    if missing := [key for key in keys if key not in card]:
        raise UserError(f"{path} is damaged: it has no {', '.join(missing)}")
    return card


def restore_config(values: Any, path: Path) -> Config:
    """The configuration of the nested ``values`` of the file ``path``. Raises UserError where they are none."""
    try:
        _refuse_interpolations(json.dumps(values))
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), values))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    assert isinstance(config, Config)
    return config


def _refuse_interpolations(text: str) -> None:
    if "${" in text:  # OmegaConf would look it up, in the environment too
        raise ValueError("it holds an interpolation ${...}, which a finished run never does")
