"""The contract of an exported model: what a task gives so that its model runs without the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol

import numpy as np

from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.results import ResultT

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

Outputs = Mapping[str, Array]
"""An exported model's outputs, by name; the first axis is the image."""
Runner = Callable[[Array], Outputs]
"""From images (N, channels, height, width) float32 in [0, 1] to what a model gives, N entries in each output."""


class Exporter(ABC, Generic[ResultT]):
    """One trained model on its way out.

    ``module`` maps images (N, ``channels``, ``height``, ``width``) float32 in [0, 1], upright RGB, to a tensor for each
    of ``outputs``, in their order. It holds a model of its own, on the CPU; normalisation is inside. The engine puts it
    into eval mode.
    """

    module: nn.Module
    channels: int
    height: int
    width: int
    """of the input, pixels"""
    fit: Literal["stretch", "letterbox"]
    """How an image becomes the input: both its sides are scaled to the input's; or the longer one is scaled to
    ``longest``, or less where the other would not fit, the image stands in the upper left, and the rest is ``pad``."""
    longest: int
    pad: Sequence[float] = (0, 0, 0)
    """of each channel, in [0, 1]"""
    outputs: Mapping[str, str]
    """What each is: shape, units, meaning."""
    batched = True
    """Whether ``module`` takes any number of images; else one at a time."""
    max_mismatch_ratio: float = 0.0
    """The part of :meth:`differences` that may be above the tolerance, where close decisions can fall either way."""

    def traceable(self) -> AbstractContextManager[Any]:
        """What has to hold while ``module`` is run, once, and then its operations are recorded."""
        return nullcontext()

    @abstractmethod
    def images(self, batch: dict[str, Any]) -> Tensor:
        """The input of what the task's ``collate`` made."""

    @abstractmethod
    def evaluation_step(self, outputs: Outputs, batch: dict[str, Any]) -> list[ResultT]:
        """What evaluation keeps of each sample of ``batch``; without a loss it is NaN."""

    def differences(self, one: Outputs, other: Outputs) -> Array:
        """How far two models are apart on the same images: of every value of every output, as a part of 1 or of the
        largest value of that output."""
        return np.concatenate([(np.abs(one[name] - other[name]) / max(1.0, np.abs(one[name]).max(initial=0))).ravel()
                               for name in self.outputs])

    def card(self) -> dict[str, Any]:
        """How the model is fed and what it gives, for whoever runs it."""
        colours = "RGB, a grey image in all three" if self.channels == 3 else "one for each of image.windows"
        fed: dict[str, Any] = {
            "name": "images", "shape": ["batch", self.channels, self.height, self.width], "type": "float32",
            "range": [0, 1], "channels": colours, "fit": self.fit}
        if self.fit == "letterbox":
            fed |= {"longest": self.longest, "pad": [round(float(value), 6) for value in self.pad]}
        fed["scaling"] = ("bilinear, antialiased where it shrinks" if self.fit == "stretch" else
                          "area where it shrinks, bilinear where it enlarges")
        return {"input": fed, "outputs": dict(self.outputs)}


class ExportFormat(Protocol):
    """A file format of exported models; made without arguments."""

    def write(self, exporter: Exporter, images: Tensor, path: Path, each_image: bool) -> None:
        """Write ``exporter.module`` to ``path``, replacing what an earlier attempt left there.

        ``images`` (1, channels, height, width) float32 in [0, 1] are an example to record the module's operations with.
        The file takes a batch of any size; with ``each_image`` it runs the module once for each image of a batch, for
        a module that takes one at a time. More files may be written beside ``path``. Any exception means that the
        module cannot be exported.
        """

    def open(self, path: Path, exporter: Exporter) -> Runner:
        """Open the file again as its users do, on the CPU; outputs are named as ``exporter.outputs`` is."""

    def companions(self) -> Mapping[str, bytes]:
        """Files to put beside the model, by name, such as a script that runs it."""
