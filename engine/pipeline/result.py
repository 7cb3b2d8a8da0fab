"""A finished run and its model bundle, opened again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.plugins.manager import Plugins, load_plugins
from sightsmith.core.util.errors import UserError, listed
from sightsmith.core.util.html import ShownPage, html_table
from sightsmith.core.util.text import format_metric
from sightsmith.engine.config.model_card import read_card
from sightsmith.engine.config.run_names import find_run
from sightsmith.engine.runs import library_warnings
from sightsmith.engine.runs.bundle import open_members, open_model, open_task
from sightsmith.engine.runs.run_dir import RunDir

if TYPE_CHECKING:
    from torch import nn

    from sightsmith.core.contracts.task import Task
    from sightsmith.engine.pipeline.inference import Predictor
    from sightsmith.engine.pipeline.predicted import PredictedImage, Predictions


class ModelDescription(dict[str, Any]):
    """What a model takes and returns, by topic; a notebook shows it as a table."""

    def _repr_html_(self) -> str:
        return html_table(self.items())


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

    def show(self, height: int = 800) -> ShownPage:
        """The report, which a notebook shows as the value of a cell."""
        return ShownPage(self.report, height)

    def _repr_html_(self) -> str:
        card, task = read_card(self.run_dir), self.plugins.task(read_card(self.run_dir)["task"])
        low, high = (format_metric(self.metrics.get(f"{task.score}_{end}")) for end in ("low", "high"))
        return html_table([
            ("run", self.run_dir), ("task", task.name), ("network", card["network"]), ("classes", listed(self.classes)),
            (task.score.replace("_", " "), f"{format_metric(self.metrics.get(task.score))}, 95 % confidence interval "
                                           f"{low} to {high}"), ("report", self.report)])

    @cached_property
    @library_warnings.warnings_in_log()
    def task(self) -> Task:
        """The task as the run used it, with its configuration and classes."""
        return open_task(self.run_dir, self.plugins)

    @cached_property
    @library_warnings.warnings_in_log()
    def model(self) -> nn.Module:
        """The run's own model in eval mode, in mmengine's BaseModel contract: see :meth:`describe_model`. It is on the
        CPU until something is predicted on a GPU. Calling the result does everything for an image."""
        return open_model(self.run_dir, self.task)

    def describe_model(self) -> ModelDescription:
        """How :attr:`model` is called: its input, mean and standard deviation for values from 0 to 1, and what it
        returns. Empty if the task does not say it."""
        return ModelDescription(self.task.describe_model(self.model))

    @cached_property
    def predictor(self) -> Predictor:
        """What predicts: the model, or the members of an ensemble of folds; without test-time augmentation."""
        from sightsmith.engine.pipeline.inference import Predictor

        return Predictor(self.task, open_members(self.run_dir, self.task) or (self.model,))

    def predictor_with(self, *, tta: bool) -> Predictor:
        """What predicts; with ``tta``, flipped views too. Raises UserError if the training showed none."""
        return self.predictor.with_flips() if tta else self.predictor

    @library_warnings.warnings_in_log()
    def predict(self, images: Any, device: str | None = None, *, tta: bool = False) -> Predictions:
        """Predict one image or many: files, each frame of those that have several, folders, zips, and images from
        memory, also mixed in a list; in tiles if trained on tiles.

        An image from memory is a PIL image, a NumPy array (height, width, channels) or (height, width), or a torch
        tensor (channels, height, width) or (height, width); RGB or grey, uint8 from 0 to 255, uint16 from 0 to 65535 or
        floating-point from 0 to 1, in the units of ``image.range`` if the run has it. Arrays with four axes are many
        images. Do not resize or normalise: that is part of the model.

        ``device`` is such as "cuda:1", by default a GPU if there is one. With ``tta``, flipped views are predicted too,
        those that the training showed. Raises UserError naming everything that is no image and every file that cannot
        be read, or if there are no such views.
        """
        import torch

        from sightsmith.engine.pipeline.console import tracked
        from sightsmith.engine.pipeline.given_images import EXPECTED, given_images
        from sightsmith.engine.pipeline.predict import predict, probed, unreadable
        from sightsmith.engine.pipeline.predicted import Predictions

        readers, image = list(self.plugins.image_readers.values()), self.task.config.image
        predictor = self.predictor_with(tta=tta)
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with given_images(images, readers, image) as (given, problems):
            if problems:
                raise unreadable([*problems, *probed(given, readers, self.task)[1]], EXPECTED)
            found = predict(predictor, given, place, readers)
            return Predictions(tracked(found, "predicting", len(given)))

    def __call__(self, image: Any, device: str | None = None, *, tta: bool = False) -> PredictedImage:
        """Like :meth:`predict`, for one image with one frame."""
        found = self.predict(image, device, tta=tta)
        if len(found) != 1:
            raise UserError(f"result(image) takes one image, and got {len(found)}", hint="type result.predict(images)")
        return found[0]

    @classmethod
    def load(cls, run: str | Path, plugins: Plugins | None = None) -> Result:
        """The finished run ``run``: its folder, its name, or ``last``; ``plugins`` are the installed ones by default.

        Raises UserError if there is no such run, or if it is not finished.
        """
        folder = find_run(run)
        card = read_card(folder)
        library_warnings.belongs_to(RunDir(folder.resolve()).log)
        return cls(folder.resolve(), card["metrics"], tuple(card["classes"]), plugins or load_plugins())
