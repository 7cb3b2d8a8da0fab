"""The base of the detection and segmentation tasks."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sightsmith.plugin import (
    Head,
    HeadLayout,
    LoadReport,
    Model,
    ModuleNetworkRecord,
    PredictionT,
    ResultT,
    Sample,
    SampleResult,
    Stem,
    Task,
    UserError,
    build_module,
    find_heads,
    load_module_weights,
    to_float32,
)
from sightsmith.plugins.openmmlab import adapt, parts, stems, zoo
from sightsmith.plugins.openmmlab.batch_norm import patch_batch_norm
from sightsmith.plugins.openmmlab.build import assemble, scope, without_distributed
from sightsmith.plugins.openmmlab.description import described
from sightsmith.plugins.openmmlab.module import ModuleModel
from sightsmith.plugins.openmmlab.progress import publish_progress
from sightsmith.plugins.openmmlab.weights import load_starting_weights, load_teacher

TRAIN_MODE_BACKBONES = ("DDRNet", "PIDNet", "TridentResNet")
"""Backbones with more or other features in training mode."""


class OpenMMLabTask(Task[ResultT, PredictionT]):
    """A task whose networks are configurations of the zoo of :attr:`package`."""

    package: str
    """``mmdet`` or ``mmseg``"""
    returned: str
    """what the model adds to a data sample"""

    def input_size(self) -> int:
        """The longer side of the network's input, pixels."""
        return self.config.image.size or self.network.input_size

    @property
    def zoo_name(self) -> str:
        """The configuration's name in the zoo: the network's own, or ``network.config``."""
        return str(self.network.options.get("config") or self.config.network.config)

    def adapted(self) -> dict[str, Any]:
        """The model's configuration adapted to the data."""
        own, options = self._own_model(), dict(self.config.network.options)
        if "teacher_ckpt" in own:
            options.pop("teacher_ckpt", None)  # read by _load_teacher
        model = copy.deepcopy(own)
        adapt.merge(model, options)
        parts.validate(model, own, self._source())
        adapt.drop_downloads(model)
        adapt.replace_sync_batch_norm(model)
        adapt.feed_channels(model, self.config.image)
        return model

    def _own_model(self) -> dict[str, Any]:
        """The network's configuration as installed: the zoo's with what the record changes."""
        model = zoo.load_model(self.package, self.zoo_name)
        zoo.resolve_teacher(self.package, model)
        if "teacher_ckpt" in model:
            model["teacher_ckpt"] = None  # mmdet would download and unpickle it
        adapt.merge(model, {key: value for key, value in self.network.options.items() if key != "config"})
        return model

    def _source(self) -> str:
        """Where ``network.options`` comes from."""
        preset, base_run = self.config.preset, self.config.base_run
        if preset.name:
            return f"The preset {preset.file or preset.name}"
        return f"The base run {base_run.path}" if base_run.path else "network.options"

    def build_model(self, *, load_weights: bool = True) -> tuple[Model, LoadReport | None]:
        if isinstance(self.network, ModuleNetworkRecord):
            return self._build_module(self.network, load_weights)
        built = self._built()
        if self.config.image.input_channels != 3:
            stems.ensure_channels(built, self.config.image, self.input_size(), self.network.name)
        publish_progress(built)
        patch_batch_norm(built)
        if not load_weights:
            return built, None
        return built, load_starting_weights(
            built, self.network, self.config.network, self.classes, lambda: zoo.classes(self.package, self.zoo_name),
            partial(self._heads, built, lambda larger: larger),
            stems.stem(self._own_model()["data_preprocessor"], self.config.image, built.backbone))

    def _built(self) -> Model:
        """The network with random weights. Raises UserError if it cannot be built with ``network.options``."""
        try:
            return self.network.make(self.adapted(), self.package)
        except UserError:
            raise
        except Exception as error:  # whatever the packages raise for a wrong setting
            if not self.config.network.options:
                raise
            raise UserError(f"{self._source()}: {self.zoo_name} cannot be built with network.options "
                            f"{self.config.network.options}: {type(error).__name__}: {error}",
                            hint=f"the network's own settings are in {zoo.folder(self.package)}") from error

    def _build_module(self, record: ModuleNetworkRecord, load_weights: bool) -> tuple[Model, LoadReport | None]:
        built = self.wrapped(record, self._module(record, len(self.classes)))
        patch_batch_norm(built)
        if not load_weights:
            return built, None
        return built, load_module_weights(built.network, record, self.config.network, self.classes,
                                          lambda: self._module(record, len(self.classes) + 1), self.head_layout,
                                          Stem((0, 1, 2) if self.config.image.has_rgb else None))

    def _module(self, record: ModuleNetworkRecord, classes: int) -> nn.Module:
        return build_module(record, num_classes=classes + 1, channels=self.config.image.input_channels,
                            size=self.input_size(),
                            options=self.config.network.options)

    @abstractmethod
    def wrapped(self, record: ModuleNetworkRecord, module: nn.Module) -> ModuleModel:
        """A plain ``module`` as a model of this task."""

    def backbone(self, model: Model) -> Sequence[nn.Module]:
        return [] if model.backbone is None else [model.backbone]

    def run_backbone(self, model: Model, inputs: Tensor) -> None:
        with scope(self.package):
            model.backbone(inputs)

    def _heads(self, model: Model, part: Callable[[Any], nn.Module]) -> dict[str, Head]:
        """The tensors of ``model``, the ``part`` of a whole network, that depend on the classes."""
        larger = type(self)(self.record, self.config, self.network, [*self.classes, ""], self.multi_label)
        # Only the sizes of its tensors matter.
        other = part(assemble(larger.adapted(), self.package))
        return find_heads(model.state_dict(), other.state_dict(), self.head_layout)

    @abstractmethod
    def head_layout(self, name: str, rows: int, per_class: int) -> HeadLayout:
        """The meaning of the ``rows`` in the head's tensor ``name``, ``per_class`` of each class."""

    def prepare(self, model: Model, samples: Sequence[Sample]) -> None:
        model.passes_per_epoch = math.ceil(len(samples) / self.config.hyper.batch_size)
        if hasattr(model, "teacher_model"):
            self._load_teacher(model.teacher_model)

    def _load_teacher(self, teacher: Model) -> None:
        """Load the weights of the teacher network (distillation)."""
        weights = self.config.network.options.get("teacher_ckpt")
        if not isinstance(weights, str):
            published = zoo.load(self.package, self.zoo_name).model.teacher_ckpt
            raise UserError(f"{self.zoo_name} is distilled from a trained teacher, whose weights are missing",
                            hint=f"set +network.options.teacher_ckpt=PATH; the published ones are {published}")
        own = self._own_model()
        published = own.get("teacher_config", {}).get("model", own)["data_preprocessor"]  # LAD's has none of its own
        load_teacher(teacher, weights, self.classes, partial(self._heads, teacher, lambda larger: larger.teacher_model),
                     stems.stem(published, self.config.image, teacher.backbone))

    def collate(self, items: list[Any]) -> dict[str, Any]:
        """Lists, not stacks: images may differ in size."""
        return {key: [item[key] for item in items] for key in items[0]}

    def evaluation_step(self, model: Model, batch: dict[str, Any]) -> list[ResultT]:
        batch = model.data_preprocessor(batch, True)  # as in training: the loss needs the ground truth
        # Features as in training, the head in full precision: bf16 is only accurate to a few pixels.
        with (scope(self.package), without_distributed(), _features_once(model, batch["inputs"].device.type),
              torch.autocast(batch["inputs"].device.type, enabled=False)):
            loss = _validation_loss(model, batch)
            predicted = _predicted(model, batch)
        return [self.result(sample, loss) for sample in predicted]

    @abstractmethod
    def result(self, sample: Any, loss: float) -> ResultT:
        """The evaluation result of a predicted sample, in pixels of the original image; ``loss`` is its batch's."""

    def predict(self, model: Model, batch: dict[str, Any]) -> list[PredictionT]:
        batch = model.data_preprocessor(batch, True)  # as in validation
        with scope(self.package), without_distributed():
            return [self.part(sample) for sample in _predicted(model, batch)]

    @abstractmethod
    def part(self, sample: Any) -> PredictionT:
        """The raw prediction of a predicted sample, in pixels of the original image or tile; flipped back along
        ``sample.get("flipped", ())``, axes as in :meth:`flipped`."""

    def flipped(self, batch: dict[str, Any], axes: Sequence[int]) -> dict[str, Any]:
        """The annotation is not flipped: prediction does not look at it."""
        pairs = zip(batch["inputs"], batch["data_samples"], strict=True)
        return {"inputs": [_flipped(image, sample, axes) for image, sample in pairs],
                "data_samples": [sample.new(metainfo={**sample.metainfo, "flipped": tuple(axes)})
                                 for sample in batch["data_samples"]]}

    def describe_model(self, model: Model) -> Mapping[str, Any]:
        return described(model, self.config.image.input_channels, self.input_size(), self.returned)

    @staticmethod
    def mean_loss(results: Sequence[SampleResult]) -> float | None:
        """The mean validation loss; None if the network has diverged."""
        mean = float(torch.tensor([result["loss"] for result in results], dtype=torch.float64).mean())
        return mean if mean == mean and abs(mean) != float("inf") else None


def _flipped(image: Tensor, sample: Any, axes: Sequence[int]) -> Tensor:
    """``image`` (C, h, w) flipped along ``axes``; its padding stays where it is."""
    left, right, top, bottom = sample.get("img_padding_size", (0, 0, 0, 0))
    found = image.clone()
    content = found[:, top:image.shape[1] - bottom, left:image.shape[2] - right]
    content.copy_(content.flip(tuple(axes)))
    return found


def _predicted(model: Model, batch: dict[str, Any]) -> list[Any]:
    """The predicted samples; image by image if a masked convolution only takes one."""
    from mmcv.ops import MaskedConv2d

    inputs, samples = batch["inputs"], batch["data_samples"]
    one_by_one = any(isinstance(module, MaskedConv2d) for module in model.modules())
    with fixed_rng():
        if one_by_one:
            return [sample for place in range(len(samples))
                    for sample in model.predict(inputs[place:place + 1], samples[place:place + 1])]
        return list(model.predict(inputs, samples))  # not a slice: its features would be computed again


def _validation_loss(model: Model, batch: dict[str, Any]) -> float:
    """The loss of a batch, as in training except for normalization and dropout.

    The networks have no loss per image.
    """
    with _as_in_training(model), fixed_rng():
        loss, _ = model.parse_losses(model.loss(batch["inputs"], batch["data_samples"]))
    return float(loss)


@contextmanager
def fixed_rng() -> Iterator[None]:
    """Seed torch inside the block and restore its state: some heads sample proposals, points or initial bases."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@contextmanager
def _as_in_training(model: Model) -> Iterator[None]:
    """Training mode, which some heads need for a loss, but with normalization and dropout in eval mode."""
    model.train()
    for part in (model.backbone, getattr(model, "neck", None)):
        if part is not None and not _needs_training(model):
            part.eval()
    for module in model.modules():
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
            module.eval()
    try:
        yield
    finally:
        model.eval()


@contextmanager
def _features_once(model: Model, device: str) -> Iterator[None]:
    """Compute the features of a batch once, for the loss and for the prediction.

    They are computed in the surrounding precision and converted to float32.
    """
    if isinstance(model, ModuleModel) or _needs_training(model):
        yield
        return
    compute, kept = model.extract_feat, {}
    precision = torch.autocast(device, torch.get_autocast_dtype(device), enabled=torch.is_autocast_enabled(device))

    def extract_feat(inputs: Any) -> Any:
        if id(inputs) not in kept:
            with precision:
                features = to_float32(compute(inputs))
            kept[id(inputs)] = inputs, features  # keeps the images alive, so that their id stays unique
        return kept[id(inputs)][1]

    model.extract_feat = extract_feat
    try:
        yield
    finally:
        model.__dict__.pop("extract_feat", None)


def _needs_training(model: Model) -> bool:
    return type(model.backbone).__name__ in TRAIN_MODE_BACKBONES
