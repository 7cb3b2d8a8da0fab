"""The contract between the engine and a task type.

A task turns checked samples into batches, builds the model, and computes metrics from predictions. The engine does
everything else: splits, training loop, ranks, checkpoints, run folders.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, cast

import numpy as np

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import Model, PredictionT, ResultT
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset

    from sightsmith.core.contracts.exporter import Exporter
    from sightsmith.core.contracts.weights import LoadReport


class Task(ABC, Generic[ResultT, PredictionT]):
    """One task type, bound to a run's configuration, network and classes.

    Created on every rank and whenever a model bundle is opened, so the constructor is cheap. The type parameters are
    the results of evaluation and prediction for one sample. ``augmentations`` are those of ``augment.extra``, in order;
    only a training has them.
    """

    def __init__(self, record: TaskRecord, config: Config, network: NetworkRecord, classes: Sequence[str],
                 multi_label: bool = False, augmentations: Sequence[Any] = ()) -> None:
        self.record = record
        self.config = config
        self.network = network
        self.classes = tuple(classes)
        self.multi_label = multi_label
        self.augmentations = tuple(augmentations)

    @property
    def pixelwise(self) -> bool:
        """Whether pixels of the image are predicted, so that one too large to be decoded whole is used only in tiles;
        False by default."""
        return False

    @abstractmethod
    def input_size(self) -> int:
        """Side of the square network input, pixels: ``image.size`` or the network's default."""

    def tile_overlap(self, training: bool) -> float:
        """Overlap of neighbouring tiles in training or validation, in percent of ``dataset.tile``; 0 if each pixel must
        be seen once. Prediction always uses ``dataset.tile_overlap``."""
        return self.config.dataset.tile_overlap

    @abstractmethod
    def dataset(self, samples: Sequence[Sample], *, training: bool) -> Dataset[Any]:
        """A map-style data set. In training, ``dataset[(index, seed)]`` is augmented, with randomness from ``seed``
        only, so that an item depends on neither the number of workers or ranks nor a restart; :attr:`augmentations`
        come last, by :func:`sightsmith.plugin.apply_augmentations`. Otherwise ``dataset[index]`` is not augmented."""

    @abstractmethod
    def collate(self, items: list[Any]) -> dict[str, Any]:
        """``{"inputs": ..., "data_samples": ...}``, the input of the model's ``data_preprocessor``."""

    def annotated(self, item: Any) -> Any:
        """A training item as an ``AnnotatedImage`` of uint8, for the sheet of augmented images; None: no sheet."""

    @abstractmethod
    def build_model(self, *, load_weights: bool = True) -> tuple[Model, LoadReport | None]:
        """The model. With ``load_weights``, the starting weights of ``network.weights`` are loaded; the report lists
        what was loaded."""

    def prepare(self, model: Model, samples: Sequence[Sample]) -> None:
        """Set up the model from the training samples (for example, class weights)."""

    def backbone(self, model: Model) -> Sequence[nn.Module]:
        """The feature extractor's modules, in order. ``hyper.backbone_lr_scale`` slows down or freezes them;
        ``base_run.distillation`` compares the output of the last one. Empty if the task has none."""
        return ()

    def run_backbone(self, model: Model, inputs: Tensor) -> None:
        """Run normalised images (N, C, H, W) through at least :meth:`backbone`."""
        model(inputs, mode="tensor")

    def sampling_weights(self, samples: Sequence[Sample]) -> Sequence[float] | None:
        """A weight for each training sample, for sampling with replacement; None: an epoch has each sample once.

        With ``hyper.class_balance=sampling``, the inverse frequency of the sample's rarest label.
        """
        if self.config.hyper.class_balance != "sampling":
            return None
        frequency = Counter(label for sample in samples for label in sample.labels or (None,))
        return [1 / min(frequency[label] for label in sample.labels or (None,)) for sample in samples]

    @abstractmethod
    def evaluation_step(self, model: Model, batch: dict[str, Any]) -> list[ResultT]:
        """Evaluate one batch (the model is in eval mode, without gradients): a result for each sample.

        ``batch`` comes from :meth:`collate` and has each sample's position in the data set. Results must not depend on
        how samples are grouped into batches."""

    @abstractmethod
    def predict(self, model: Model, batch: dict[str, Any]) -> list[PredictionT]:
        """Predict each sample (the model is in eval mode, without gradients); samples may lack annotation."""

    def describe_model(self, model: Model) -> Mapping[str, Any]:
        """How ``model`` is called by those who have nothing else of ours: input, mean and standard deviation, the call,
        and what it returns. Empty if that is not said."""
        return {}

    def flipped(self, batch: dict[str, Any], axes: Sequence[int]) -> dict[str, Any]:
        """A copy of ``batch`` with its images flipped along ``axes`` (-1: left to right, -2: upside down);
        :meth:`predict` flips the predictions for it back. Raises UserError if the task cannot."""
        raise UserError(f"The task {self.config.task.name} cannot combine several predictions for an image.")

    def fuse(self, parts: Sequence[PredictionT]) -> PredictionT:
        """Combine ``parts``, predictions for one sample by several models or from several views, into one."""
        raise NotImplementedError

    def assess(self, parts: Sequence[PredictionT], batch: dict[str, Any]) -> list[ResultT]:
        """:meth:`evaluation_step` for predictions that exist already; ``loss`` is NaN if there is none."""
        raise NotImplementedError

    def heat_maps(self, model: Model, batch: dict[str, Any]) -> list[Array]:
        """For each sample, a class activation map of the most likely class: (h, w) float32 in [0, 1], of any size; it
        is stretched over the image. Raises UserError if there is none."""
        raise UserError(f"The task {self.config.task.name} has no heat maps.", hint="leave heatmaps out")

    def exporter(self, model: Model, sizes: Collection[tuple[int, int]]) -> Exporter:
        """Prepares a trained ``model`` for use without the engine; ``sizes`` are the (height, width) of its images or
        tiles. Raises UserError if that is not possible."""
        raise UserError(f"The task {self.config.task.name} does not support export.")

    @abstractmethod
    def prediction(self, parts: Iterator[PredictionT], samples: Sequence[Sample], size: tuple[int, int],
                   ) -> Prediction:
        """Combine ``parts``, the results of :meth:`predict` for ``samples``, into the prediction for an image of
        ``size`` (height, width); the samples are the image or its overlapping tiles, row by row. A part is predicted
        when it is asked for, so those of a large image need not be in memory together."""

    @abstractmethod
    def metrics(self, results: Sequence[ResultT]) -> dict[str, float | None]:
        """Metrics of a whole split: ``loss``, the task's score, and more. None is undefined.

        ``results`` is complete and sorted by sample, whatever the number of ranks."""

    def bootstrap_score(self, results: Sequence[ResultT]) -> Callable[[Array], float | None]:
        """The score of resampled ``results``, as a function of how often each is drawn (N,) int64.

        The bootstrap calls it 1,000 times. Override it if :meth:`metrics` is slow: this default computes all metrics
        from copies.
        """
        def score(drawn: Array) -> float | None:
            places = np.repeat(np.arange(len(results)), drawn).tolist()
            copies = [cast(ResultT, {**results[place], "index": index}) for index, place in enumerate(places)]
            return self.metrics(copies)[self.score]

        return score

    @abstractmethod
    def report(self, results: Sequence[ResultT], samples: Sequence[Sample], folder: Path) -> list[Section]:
        """The report's sections about ``results``."""

    @property
    def score(self) -> str:
        """The metric (higher is better) that selects the best checkpoint."""
        return self.record.score

    @property
    def class_score(self) -> str:
        """The per-class metric closest to the score; its key in ``metrics`` is ``<class_score>/<class>``."""
        return self.score

    def baseline(self, train: Sequence[Sample], results: Sequence[ResultT]) -> tuple[str, list[ResultT]] | None:
        """``results`` with the predictions of a model that only knows the class frequencies in ``train``, and what it
        predicts, in words. A score that is not above it shows nothing learnt. None if there is no such model."""
        return None

    def statistics(self, samples: Sequence[Sample]) -> Mapping[str, int]:
        """The number of images of each class."""
        counts = dict.fromkeys(self.classes, 0)
        for sample in samples:
            for label in sample.labels:
                counts[label] += 1
        return counts
