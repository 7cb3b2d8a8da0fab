"""The classification task: samples to batches, logits to metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsmith.plugin import (
    AnnotatedImage,
    Array,
    LoadReport,
    Model,
    ModuleNetworkRecord,
    Prediction,
    Sample,
    Section,
    Stem,
    Task,
    UserError,
    build_module,
    is_out_of_memory,
    load_module_weights,
    network_rgb,
)
from sightsmith.plugins.classification import cam, data, metrics
from sightsmith.plugins.classification.export import ClassifierExporter
from sightsmith.plugins.classification.metrics import ClassificationPrediction, ClassificationResult
from sightsmith.plugins.classification.model import Classifier, Preprocessor, before_last_layer, load_starting_weights
from sightsmith.plugins.classification.settings import BALANCED, ClassificationConfig

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
TRAINED_ON_HALF = ("efficientnet_v2_l", "googlenet", "inception_v3")
"""Networks whose published weights expect inputs in [-1, 1], not ImageNet's mean and standard deviation."""
LARGEST_POSITIVE_WEIGHT = 20.0


class ClassificationTask(Task[ClassificationResult, ClassificationPrediction]):
    """Single-label, or multi-label if images have any number of classes."""

    @property
    def score(self) -> str:
        """Accuracy; for multi-label, where accuracy only counts exact matches of label sets, the macro F1."""
        return "macro_f1" if self.multi_label else super().score

    @property
    def class_score(self) -> str:
        return "f1" if self.multi_label else "recall"

    @property
    def settings(self) -> ClassificationConfig:
        settings = self.config.task
        assert isinstance(settings, ClassificationConfig)
        return settings

    def input_size(self) -> int:
        return self.config.image.size or self.network.input_size

    def dataset(self, samples: Sequence[Sample], *, training: bool) -> data.ClassificationDataset:
        return data.ClassificationDataset(samples, self.classes, self.config, self.input_size(),
                                          multi_label=self.multi_label, training=training,
                                          augmentations=self.augmentations)

    def annotated(self, item: tuple[Tensor, Any, int]) -> AnnotatedImage:
        image, label, _ = item
        scores = label if isinstance(label, Tensor) else functional.one_hot(torch.tensor(label), len(self.classes))
        return AnnotatedImage(network_rgb(image.permute(1, 2, 0).numpy(), self.config.image),
                              scores=scores.float().numpy())

    def collate(self, items: list[Any]) -> dict[str, Any]:
        return data.collate(items)

    def build_model(self, *, load_weights: bool = True) -> tuple[Model, LoadReport | None]:
        if self.settings.class_weights == BALANCED and self.config.hyper.class_balance == "sampling":
            raise UserError("task.class_weights=balanced and hyper.class_balance=sampling both correct for imbalance",
                            hint="choose one of them")
        model = self._build(len(self.classes))
        self._try(model, self.config.image.input_channels)
        if not load_weights:
            return model, None
        if isinstance(self.network, ModuleNetworkRecord):
            return model, load_module_weights(model.network, self.network, self.config.network, self.classes,
                                              lambda: self._build(len(self.classes) + 1).network, stem=self._stem())
        return model, load_starting_weights(model, self.network, self.config.network, self.classes,
                                            lambda: self._build(len(self.classes) + 1), self._stem())

    def _build(self, classes: int) -> Model:
        config, channels = self.config, self.config.image.input_channels
        defaults = self._normalisation(channels)
        if isinstance(self.network, ModuleNetworkRecord):
            module = build_module(self.network, num_classes=classes, channels=channels, size=self.input_size(),
                                  options=config.network.options)
            return Classifier(module, Preprocessor(config.image.mean or defaults[0], config.image.std or defaults[1]),
                              multi_label=self.multi_label, label_smoothing=self.settings.label_smoothing)
        return self.network.make(
            self.network.name, classes, channels=channels, size=self.input_size(),
            mean=config.image.mean or defaults[0], std=config.image.std or defaults[1], multi_label=self.multi_label,
            label_smoothing=self.settings.label_smoothing, options={**self.network.options, **config.network.options})

    def _stem(self) -> Stem:
        """For channels that are normalised to a standard deviation of 1, as ImageNet's mean and deviation do."""
        half = self.network.name in TRAINED_ON_HALF and self.config.image.std
        return Stem((0, 1, 2) if self.config.image.has_rgb else None, sum(IMAGENET_STD) / sum(HALF) if half else 1.0)

    def _normalisation(self, channels: int) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation of each channel, as the published weights expect them."""
        if isinstance(self.network, ModuleNetworkRecord) and len(self.network.mean) == channels:
            return self.network.mean, self.network.std
        if channels != 3:
            return (0.5,) * channels, (0.25,) * channels
        return (HALF, HALF) if self.network.name in TRAINED_ON_HALF else (IMAGENET_MEAN, IMAGENET_STD)

    def _try(self, model: Model, channels: int) -> None:
        """Run one image: some networks need a larger input, and a plain module may return anything."""
        size, plain = self.input_size(), isinstance(self.network, ModuleNetworkRecord)
        if size == self.network.input_size and not self.config.network.options and not plain:
            return
        try:
            with torch.no_grad():
                logits = model.eval()(torch.zeros(1, channels, size, size))
        except (RuntimeError, AssertionError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            raise UserError(f"The network {self.network.name} cannot take images of {size} px: {error}",
                            hint=f"remove image.size (the default of this network is {self.network.input_size}), or "
                                 "choose another network") from error
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if plain and shape != (1, len(self.classes)):
            raise UserError(f"The network {self.network.name} returned {shape} for images (1, {channels}, {size}, "
                            f"{size}), not logits (1, {len(self.classes)}), one per class")

    def backbone(self, model: Model) -> Sequence[nn.Module]:
        if isinstance(self.network, ModuleNetworkRecord) and self.network.backbone:
            return [model.network.get_submodule(self.network.backbone)]
        return before_last_layer(model)

    def prepare(self, model: Model, samples: Sequence[Sample]) -> None:
        """Set class weights: all classes weigh the same; for multi-label, positives weigh as much as negatives."""
        if self.settings.class_weights != BALANCED:
            return
        counts = self.statistics(samples)
        if self.multi_label:
            weights = [min((len(samples) - count) / count, LARGEST_POSITIVE_WEIGHT) if count else 1.0
                       for count in counts.values()]
        else:
            weights = [len(samples) / (len(counts) * count) if count else 0.0 for count in counts.values()]
        model.set_class_weight(weights)

    def evaluation_step(self, model: Model, batch: dict[str, Any]) -> list[ClassificationResult]:
        batch = model.data_preprocessor(batch, False)
        return self._results(self._logits(model, batch), batch["data_samples"])

    def _results(self, logits: Tensor, targets: dict[str, Tensor]) -> list[ClassificationResult]:
        label = targets["label"]
        if self.multi_label:
            losses = functional.binary_cross_entropy_with_logits(logits, label, reduction="none").mean(1)
            labels: list[Any] = list(label.cpu().numpy().astype(np.int8))
        else:
            losses = functional.cross_entropy(logits, label, reduction="none")
            labels = label.tolist()
        rows = zip(targets["index"].tolist(), losses.tolist(), logits.cpu().numpy(), labels, strict=True)
        return [{"index": index, "loss": loss, "logits": row, "label": truth} for index, loss, row, truth in rows]

    @staticmethod
    def _logits(model: Model, batch: dict[str, Any]) -> Tensor:
        logits: Tensor = model(**batch, mode="predict").float()
        return logits

    def predict(self, model: Model, batch: dict[str, Any]) -> list[ClassificationPrediction]:
        logits = self._logits(model, model.data_preprocessor(batch, False))
        return [{"scores": scores} for scores in metrics.probabilities(logits.cpu().numpy(), self.multi_label)]

    def describe_model(self, model: Model) -> Mapping[str, Any]:
        channels, size = self.config.image.input_channels, self.input_size()
        preprocessor = model.data_preprocessor
        return {
            "input": f"images (N, {channels}, {size}, {size}) float32 from 0 to 1"
                     + (", RGB, grey in all three" if channels == 3 else "") + ", stretched to that size",
            "mean": [round(value, 6) for value in preprocessor.mean.flatten().tolist()],
            "std": [round(value, 6) for value in preprocessor.std.flatten().tolist()],
            "call": "model(**model.data_preprocessor({'inputs': images}), mode='predict')",
            "returns": f"logits (N, {len(self.classes)}) in the order of the classes; "
                       f"{'sigmoid()' if self.multi_label else 'softmax(1)'} makes them probabilities"}

    def flipped(self, batch: dict[str, Any], axes: Sequence[int]) -> dict[str, Any]:
        return {**batch, "inputs": batch["inputs"].flip(tuple(axes))}

    def fuse(self, parts: Sequence[ClassificationPrediction]) -> ClassificationPrediction:
        """The mean of the probabilities."""
        return {"scores": np.mean([part["scores"] for part in parts], axis=0)}

    def assess(self, parts: Sequence[ClassificationPrediction], batch: dict[str, Any]) -> list[ClassificationResult]:
        logits = metrics.logits(np.stack([part["scores"] for part in parts]), self.multi_label)
        return self._results(torch.from_numpy(logits), batch["data_samples"])

    def heat_maps(self, model: Model, batch: dict[str, Any]) -> list[Array]:
        return cam.heat_maps(model, model.data_preprocessor(batch, False), self.network.name)

    def exporter(self, model: Model, sizes: Collection[tuple[int, int]]) -> ClassifierExporter:
        return ClassifierExporter(model, channels=self.config.image.input_channels, size=self.input_size(),
                                  multi_label=self.multi_label)

    def prediction(self, parts: Iterator[ClassificationPrediction], samples: Sequence[Sample],
                   size: tuple[int, int]) -> Prediction:
        [part] = parts  # labels have no tiles
        scores = zip(self.classes, part["scores"].tolist(), strict=True)
        return Prediction(samples[0].path, size[1], size[0], samples[0].frame,
                          scores=dict(sorted(scores, key=lambda pair: -pair[1])))

    def metrics(self, results: Sequence[ClassificationResult]) -> dict[str, float | None]:
        return metrics.compute(results, self.classes, self.multi_label)

    def bootstrap_score(self, results: Sequence[ClassificationResult]) -> Callable[[Array], float | None]:
        return metrics.bootstrap_score(results, self.multi_label)

    def baseline(self, train: Sequence[Sample], results: Sequence[ClassificationResult],
                 ) -> tuple[str, list[ClassificationResult]]:
        """The most frequent class; for multi-label every label, which has the best F1 of all constant answers."""
        if self.multi_label:
            what, logits = "every label for every image", np.full(len(self.classes), 100, np.float32)
        else:
            (most, _), = Counter(sample.labels[0] for sample in train).most_common(1)
            what = f"the most frequent class, {most!r}, for every image"
            logits = np.eye(len(self.classes), dtype=np.float32)[self.classes.index(most)]
        return what, [{**result, "logits": logits} for result in results]

    def report(self, results: Sequence[ClassificationResult], samples: Sequence[Sample], folder: Path) -> list[Section]:
        from sightsmith.plugins.classification import report  # imports matplotlib and scikit-learn

        return report.sections(results, samples, self.classes, self.multi_label, self.config)
