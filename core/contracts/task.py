"""The contract between the engine and a task type.

A task turns checked samples into batches, builds the model, and turns predictions into figures. The
engine owns everything else: the split, the loop, ranks, checkpoints, the run folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, cast

import numpy as np

from sightsmith.core.contracts.augmentation import Augmentation
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.records import NetworkRecord, TaskRecord
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
    """One task type, bound to one run's configuration, network and classes.

    Made anew in every rank and when a model bundle is opened; the constructor does no work. Its types are what
    evaluation keeps of a sample, and what prediction does. ``augmentations`` are those of ``augment.extra``, in order,
    which only a training has.
    """

    def __init__(self, record: TaskRecord, config: Config, network: NetworkRecord, classes: Sequence[str],
                 multi_label: bool = False, augmentations: Sequence[Augmentation] = ()) -> None:
        self.record = record
        self.config = config
        self.network = network
        self.classes = tuple(classes)
        self.multi_label = multi_label
        self.augmentations = tuple(augmentations)

    @abstractmethod
    def input_size(self) -> int:
        """Side of the square network input, pixels: ``image.size`` or the network's own."""

    def tile_overlap(self, training: bool) -> float:
        """Percent of ``dataset.tile`` that neighbouring tiles share in training or validation; 0 where a pixel must not
        be seen twice. In prediction it is always ``dataset.tile_overlap``."""
        return self.config.dataset.tile_overlap

    @abstractmethod
    def dataset(self, samples: Sequence[Sample], *, training: bool) -> Dataset[Any]:
        """In training, augmented: ``dataset[(index, seed)]`` draws everything random in the item from ``seed``
        alone, so an item does not depend on the number of workers or ranks, or on a restart.
        :attr:`augmentations` come last, by :func:`sightsmith.plugin.apply_augmentations`.
        Else not augmented: ``dataset[index]``."""

    @abstractmethod
    def collate(self, items: list[Any]) -> dict[str, Any]:
        """``{"inputs": ..., "data_samples": ...}`` as the model's ``data_preprocessor`` takes it."""

    @abstractmethod
    def build_model(self, *, load_weights: bool = True) -> tuple[Model, LoadReport | None]:
        """The model; with ``load_weights`` its starting weights are loaded
        as ``network.weights`` says and the report tells what was."""

    def prepare(self, model: Model, samples: Sequence[Sample]) -> None:
        """Give the model what it needs to know of the training samples (class weights, say)."""

    def backbone(self, model: Model) -> Sequence[nn.Module]:
        """The modules that make features of an image, in order: what ``hyper.backbone_lr_scale`` slows or freezes, and
        the last one's output what ``base_run.distillation`` compares. Empty where the task knows none."""
        return ()

    def run_backbone(self, model: Model, inputs: Tensor) -> None:
        """Forward normalised images (N, C, H, W) through :meth:`backbone`, and maybe further."""
        model(inputs, mode="tensor")

    def sampling_weights(self, samples: Sequence[Sample]) -> Sequence[float] | None:
        """A weight for each training sample where an epoch draws with replacement; None: each once.

        For ``hyper.class_balance=sampling``, one over the frequency of the sample's rarest label.
        """
        if self.config.hyper.class_balance != "sampling":
            return None
        frequency = Counter(label for sample in samples for label in sample.labels or (None,))
        return [1 / min(frequency[label] for label in sample.labels or (None,)) for sample in samples]

    @abstractmethod
    def evaluation_step(self, model: Model, batch: dict[str, Any]) -> list[ResultT]:
        """Evaluate one batch (the model is in eval mode, without gradients): a result for each sample.

        ``batch`` is what :meth:`collate` made, and holds each sample's place in the data set. A sum
        over results must not depend on how the samples were grouped into batches."""

    @abstractmethod
    def predict(self, model: Model, batch: dict[str, Any]) -> list[PredictionT]:
        """What the model (in eval mode, without gradients) says of each sample; they may have no annotation."""

    def heat_maps(self, model: Model, batch: dict[str, Any]) -> list[Array]:
        """Of each sample what of it speaks for the likeliest class: (h, w) float32 in [0, 1], of any size that is
        stretched over the image. Raises UserError where that cannot be said."""
        raise UserError(f"The task {self.config.task.name} has no heat maps.", hint="leave heatmaps out")

    def exporter(self, model: Model, sizes: Collection[tuple[int, int]]) -> Exporter:
        """How a trained ``model`` is run without the engine; ``sizes`` are the (height, width) of the images, or tiles,
        that it is for. Raises UserError where that cannot be."""
        raise UserError(f"The models of the task {self.config.task.name} cannot be exported: its plugin says not how.")

    @abstractmethod
    def prediction(self, parts: Sequence[PredictionT], samples: Sequence[Sample], size: tuple[int, int],
                   ) -> Prediction:
        """Of an image of ``size`` (height, width): ``parts`` is what :meth:`predict` has of ``samples``, the image or
        its overlapping tiles."""

    @abstractmethod
    def metrics(self, results: Sequence[ResultT]) -> dict[str, float | None]:
        """Figures of a whole split: ``loss``, the task's score, and more. None is an undefined figure.

        ``results`` is sorted by sample and complete, whatever the number of ranks."""

    def bootstrap_score(self, results: Sequence[ResultT]) -> Callable[[Array], float | None]:
        """The score of ``results`` drawn anew, as a function of how often each is drawn (N,) int64.

        The bootstrap calls it a thousand times, so a task whose :meth:`metrics` are slow does better than this, which
        computes all of them from copies.
        """
        def score(drawn: Array) -> float | None:
            places = np.repeat(np.arange(len(results)), drawn).tolist()
            copies = [cast(ResultT, {**results[place], "index": index}) for index, place in enumerate(places)]
            return self.metrics(copies)[self.score]

        return score

    @abstractmethod
    def report(self, results: Sequence[ResultT], samples: Sequence[Sample], folder: Path) -> list[Section]:
        """The report's sections on these results."""

    @property
    def score(self) -> str:
        """The metric (higher is better) that chooses the best checkpoint."""
        return self.record.score

    @property
    def class_score(self) -> str:
        """The figure of a class that is the nearest to the score: ``metrics`` has it as ``<class_score>/<class>``."""
        return self.score

    def baseline(self, train: Sequence[Sample], validation: Sequence[Sample]) -> float | None:
        """The score on ``validation`` of a model that has learnt nothing but how often each class stands
        in ``train``; None where that says nothing."""
        return None

    def statistics(self, samples: Sequence[Sample]) -> Mapping[str, int]:
        """Images of each class."""
        counts = dict.fromkeys(self.classes, 0)
        for sample in samples:
            for label in sample.labels:
                counts[label] += 1
        return counts
