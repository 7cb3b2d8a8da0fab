"""A plain ``torch.nn.Module`` in place of a model of mmdet or mmsegmentation."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from sightsmith.plugin import Config, ModuleNetworkRecord, UserError
from sightsmith.plugins.openmmlab.build import registry
from sightsmith.plugins.openmmlab.stems import normalise


class ModuleModel(BaseModel):
    """``network`` in mmengine's BaseModel contract; ``backbone`` is the submodule that extracts features, or None."""

    def __init__(self, network: nn.Module, preprocessor: nn.Module, backbone: str) -> None:
        super().__init__(data_preprocessor=preprocessor)
        self.network = network
        self._backbone = backbone

    @property
    def backbone(self) -> nn.Module | None:
        return self.network.get_submodule(self._backbone) if self._backbone else None

    def forward(self, inputs: Tensor, data_samples: list[Any] | None = None, mode: str = "tensor") -> Any:
        if mode == "tensor":
            return self.network(inputs)
        assert data_samples is not None
        return self.loss(inputs, data_samples) if mode == "loss" else self.predict(inputs, data_samples)

    @abstractmethod
    def loss(self, inputs: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        """The parts of the loss of a batch; each name contains "loss"."""

    @abstractmethod
    def predict(self, inputs: Tensor, samples: list[Any]) -> list[Any]:
        """``samples`` with predictions, in pixels of the original image or tile."""


def build_preprocessor(package: str, kind: str, record: ModuleNetworkRecord, config: Config, **settings: Any,
                       ) -> nn.Module:
    """``package``'s data preprocessor ``kind`` for RGB from 0 to 255, with mean and standard deviation of ``record``
    unless ``config`` sets others. Raises UserError if those are of another number of channels than the images."""
    mean, std, channels = config.image.mean or record.mean, config.image.std or record.std, config.image.input_channels
    if len(mean) != channels:
        raise UserError(f"The network {record.name} takes images of {len(mean)} channels, but those of the task "
                        f"{record.task} have {channels}")
    built: nn.Module = registry(package).build({"type": kind, "mean": None, "std": None, **settings})
    normalise(built, [255 * value for value in mean], [255 * value for value in std])
    return built
