"""A finished run and its model bundle, opened again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.config.model_card import read_card
from sightsmith.core.config.run_names import find_run
from sightsmith.core.plugins.manager import Plugins, load_plugins
from sightsmith.engine.runs import library_warnings
from sightsmith.engine.runs.bundle import open_members, open_model, open_task
from sightsmith.engine.runs.run_dir import RunDir

if TYPE_CHECKING:
    from torch import nn

    from sightsmith.core.contracts.prediction import Prediction
    from sightsmith.core.contracts.task import Task
    from sightsmith.engine.pipeline.inference import Predictor


@dataclass(frozen=True)
class Result:
    """A run: its folder, the metrics of its best checkpoint, and its model.

    ``metrics`` maps the name of a metric to its value on the validation split; None is undefined.
    """

    run_dir: Path
    metrics: dict[str, float | None]
    classes: tuple[str, ...]
    plugins: Plugins = field(repr=False, compare=False)

    @property
    def report(self) -> Path:
        return RunDir(self.run_dir).report / "index.html"

    @cached_property
    def task(self) -> Task:
        """The task as the run used it, with its configuration and classes."""
        return open_task(self.run_dir, self.plugins)

    @cached_property
    def model(self) -> nn.Module:
        """The run's own model in eval mode on the CPU, in mmengine's BaseModel contract."""
        return open_model(self.run_dir, self.task)

    @cached_property
    def predictor(self) -> Predictor:
        """What predicts: the model, or the members of an ensemble of folds; without test-time augmentation."""
        from sightsmith.engine.pipeline.inference import Predictor

        return Predictor(self.task, open_members(self.run_dir, self.task) or (self.model,))

    def predict(self, paths: Iterable[str | Path], device: str = "cpu", *, tta: bool = False) -> Iterator[Prediction]:
        """Predict each image in ``paths``, and each frame of files that have several, in tiles if trained on tiles.

        With ``tta``, flipped views are predicted too, those that the training showed. Raises UserError naming every
        file that cannot be read, or if there are no such views.
        """
        import torch

        from sightsmith.engine.pipeline.predict import predict

        predictor = self.predictor.with_flips() if tta else self.predictor
        return predict(predictor, paths, torch.device(device), self.plugins.image_readers.values())

    @classmethod
    def load(cls, run: str | Path, plugins: Plugins | None = None) -> Result:
        """The finished run ``run``: its folder, its name, or ``last``; ``plugins`` are the installed ones by default.

        Raises UserError if there is no such run, or if it is not finished.
        """
        folder = find_run(run)
        card = read_card(folder)
        library_warnings.belongs_to(RunDir(folder.resolve()).log)
        return cls(folder.resolve(), card["metrics"], tuple(card["classes"]), plugins or load_plugins())
