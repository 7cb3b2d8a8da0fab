"""torchvision's classification networks in mmengine's BaseModel contract."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MNASNet, get_model, get_model_weights
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from sightsmith.plugin import (
    Head,
    LoadReport,
    NetworkConfig,
    NetworkRecord,
    Stem,
    UserError,
    find_heads,
    load_by_class,
    plain_layout,
    read_starting_weights,
)

AUXILIARY = {"googlenet": 0.3, "inception_v3": 0.4}
"""Weight of each auxiliary loss: arXiv 1409.4842 section 5; arXiv 1512.00567 as in torchvision's recipe."""

INCEPTION_AUXILIARY_SIZE = 299
"""Smaller inputs leave Inception v3's auxiliary head no feature map. Pixels."""

_OLD_NAMES = ((re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),
              (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."), (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."))
"""Renamed tensors in torchvision's published DenseNet and ViT files."""


class Preprocessor(BaseDataPreprocessor):
    """Moves a batch to the device and normalises its images: (value - mean) / std, by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(non_blocking=True)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """``inputs`` (N, C, H, W) float32 in [0, 1]; ``data_samples`` a dict of tensors."""
        data = self.cast_data(data)
        return {**data, "inputs": (data["inputs"] - self.mean) / self.std}


class _MNASNet(MNASNet):
    """Takes plain dicts of tensors, which lack the version that torchvision's own class expects."""

    _load_from_state_dict = nn.Module._load_from_state_dict


class Classifier(BaseModel):
    """A network with its loss.

    ``data_samples["label"]`` is (N,) int64 class numbers, or (N, K) float32 zeros and ones for
    multi-label. Modes: ``tensor`` and ``predict`` give logits (N, K), ``loss`` the parts of the loss.
    """

    def __init__(self, network: nn.Module, preprocessor: Preprocessor, *, multi_label: bool = False,
                 label_smoothing: float = 0.0, auxiliary_weight: float = 0.0) -> None:
        super().__init__(data_preprocessor=preprocessor)
        self.network = network
        self.multi_label, self.label_smoothing, self.auxiliary_weight = multi_label, label_smoothing, auxiliary_weight
        self.register_buffer("class_weight", None, persistent=False)

    def forward(self, inputs: Tensor, data_samples: dict[str, Tensor] | None = None, mode: str = "tensor") -> Any:
        if mode == "loss" and len(inputs) == 1:
            # Batch normalization rejects one value per channel; a doubled image has the same mean and loss.
            inputs = inputs.expand(2, -1, -1, -1)
        output = self.network(inputs)
        auxiliary: list[Tensor] = []
        if isinstance(output, tuple):  # GoogLeNet and Inception, in training
            logits, *auxiliary = output
        else:
            logits = output
        if mode != "loss":
            return logits
        assert data_samples is not None
        label = data_samples["label"].expand(len(logits), *data_samples["label"].shape[1:])
        losses = {"loss_cls": self._loss(logits, label)}
        if auxiliary:
            losses["loss_aux"] = self.auxiliary_weight * sum(
                (self._loss(output, label) for output in auxiliary), torch.zeros((), device=logits.device))
        return losses

    def _loss(self, logits: Tensor, label: Tensor) -> Tensor:
        if self.multi_label:
            smooth = label * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
            return functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=self.class_weight)
        if self.class_weight is None:
            return functional.cross_entropy(logits, label, label_smoothing=self.label_smoothing)
        each = functional.cross_entropy(logits, label, weight=self.class_weight, reduction="none",
                                        label_smoothing=self.label_smoothing)
        # The mean over images, not over weights, so that the loss of a batch is the mean over its micro-batches.
        return each.mean()

    def set_class_weight(self, weight: Sequence[float]) -> None:
        """Set the weight of each class (K,) in the loss; of its positives, for multi-label."""
        self.class_weight = torch.tensor(weight, dtype=torch.float32, device=self.data_preprocessor.mean.device)


class ClassifierBuilder(Protocol):
    """The signature of the builder of a classification network."""

    def __call__(self, name: str, classes: int, *, channels: int, size: int, mean: Sequence[float],
                 std: Sequence[float], multi_label: bool, label_smoothing: float, options: Mapping[str, Any],
                 ) -> Classifier:
        """The network of the record ``name``, with random weights and ``classes`` logits (N, K).

        It takes images (N, ``channels``, ``size``, ``size``) float32 in [0, 1], and normalises them itself:
        (value - ``mean``) / ``std``, by channel. ``label_smoothing`` is in [0, 1); ``options`` are those of the
        record updated with ``network.options``. Raises UserError for options that the network does not take.
        """


def build_classifier(name: str, classes: int, *, channels: int, size: int, mean: Sequence[float], std: Sequence[float],
                     multi_label: bool = False, label_smoothing: float = 0.0,
                     options: Mapping[str, Any] | None = None) -> Classifier:
    """torchvision's network ``name`` with random weights, for inputs (N, ``channels``, ``size``, ``size``).

    Raises UserError for ``options`` that the network does not take.
    """
    arguments: dict[str, Any] = {"num_classes": classes, **(options or {})}
    if name.startswith("vit_"):
        arguments["image_size"] = size
    elif name.startswith("maxvit"):
        arguments["input_size"] = (size, size)
    elif name in AUXILIARY:
        arguments |= {"aux_logits": name != "inception_v3" or size >= INCEPTION_AUXILIARY_SIZE, "init_weights": True,
                      "transform_input": False}
    try:
        network = get_model(name, weights=None, **arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(f"The network {name} cannot be built with input size {size} px and options "
                        f"{dict(options or {})}: {error}",
                        hint="change image.size or network.options") from error
    if isinstance(network, MNASNet):
        network.__class__ = _MNASNet
    if channels != 3:
        _replace_first_convolution(network, channels)
    return Classifier(network, Preprocessor(mean, std), multi_label=multi_label, label_smoothing=label_smoothing,
                      auxiliary_weight=AUXILIARY.get(name, 0.0))


def _replace_first_convolution(network: nn.Module, channels: int) -> None:
    path, old = next((path, module) for path, module in network.named_modules() if isinstance(module, nn.Conv2d))
    new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, old.dilation,  # type: ignore[arg-type]
                    bias=old.bias is not None)
    parent, _, leaf = path.rpartition(".")
    owner = network.get_submodule(parent)
    setattr(owner, leaf, new)


def before_last_layer(model: Classifier) -> list[nn.Module]:
    """The network's modules, in order, without the classification head and the dropout before it."""
    parts: list[nn.Module] = []
    for part in model.network.children():
        parts += part if isinstance(part, nn.ModuleList) else [part]
    parts = [part for part in parts if type(part).__name__ != "InceptionAux"]
    last = next(part for part in reversed(parts) if any(True for _ in part.parameters()))
    before = parts[:parts.index(last)]
    while before and isinstance(before[-1], nn.Dropout):
        before.pop()
    return before


def load_starting_weights(model: Classifier, record: NetworkRecord, chosen: NetworkConfig, classes: Sequence[str],
                          larger: Callable[[], Classifier], stem: Stem) -> LoadReport | None:
    """Load the file that ``chosen.weights`` stands for; None for random weights.

    The rows of the last layer are matched to ``classes`` by name if the file lists its classes, or is torchvision's;
    ``larger`` builds the same network with one more class. ``stem`` is for another number of channels. Raises UserError
    if the file is unavailable or does not fit.
    """
    starting = read_starting_weights(record, chosen, lambda: _imagenet_classes(record.name, classes))
    if starting is None:
        return None
    state = {_current_name(tensor): value for tensor, value in starting.file.tensors.items()}
    network = model.network
    embedding = state.get("encoder.pos_embedding")
    if isinstance(network, VisionTransformer) and embedding is not None and embedding.shape[1] != network.seq_length:
        state = dict(interpolate_embeddings(network.image_size, network.patch_size, OrderedDict(state)))

    def heads() -> dict[str, Head]:
        return find_heads(network.state_dict(), larger().network.state_dict(), lambda *_: plain_layout)

    if starting.published is not None and starting.published.backbone:
        last = heads()
        state = {tensor: value for tensor, value in state.items() if tensor not in last}
    return starting.report(load_by_class(
        network, replace(starting.file, tensors=state), starting.source, classes, heads, stem))


def _imagenet_classes(name: str, classes: Sequence[str]) -> Sequence[str]:
    """ImageNet's class names in the order of the last layer of the network ``name``; none if none of ``classes`` is
    among them and the last layer has another size anyway."""
    found: list[str] = get_model_weights(name).DEFAULT.meta["categories"]
    return found if set(found) & set(classes) or len(classes) == len(found) else ()


def _current_name(name: str) -> str:
    """The current name of a tensor, from its name in a file of torchvision or one of our checkpoints."""
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    return name.removeprefix("network.")
