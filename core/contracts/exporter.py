"""The contract for exporting a model, so that it runs without the engine."""

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
"""Maps images (N, channels, height, width) float32 in [0, 1] to a model's outputs, each with N entries."""


class Exporter(ABC, Generic[ResultT]):
    """Prepares one trained model for export.

    ``module`` maps images (N, ``channels``, ``height``, ``width``) float32 in [0, 1], upright, to a tensor for each
    of ``outputs``, in order. It has its own copy of the model, on the CPU, and includes normalisation. The engine sets
    it to eval mode.
    """

    module: nn.Module
    channels: int
    height: int
    width: int
    """of the input, pixels"""
    fit: Literal["stretch", "letterbox"]
    """How an image is fitted to the input. ``stretch`` scales both sides to the input's. ``letterbox`` scales the
    longer side to ``longest``, or less if the other would not fit, places the image at the top left and pads with
    ``pad``."""
    longest: int
    pad: Sequence[float] = (0, 0, 0)
    """of each channel, in [0, 1]"""
    outputs: Mapping[str, str]
    """Description by name: shape, units, meaning."""
    batched = True
    """Whether ``module`` takes any number of images instead of one at a time."""
    averageable = False
    """Whether the mean of several models' outputs is the output of their ensemble."""
    max_mismatch_ratio: float = 0.0
    """The share of :meth:`differences` that may exceed the tolerance, for outputs with near ties."""

    def traceable(self) -> AbstractContextManager[Any]:
        """Entered while ``module`` is run once and then traced."""
        return nullcontext()

    @abstractmethod
    def images(self, batch: dict[str, Any]) -> Tensor:
        """The input of ``module`` for a batch from the task's ``collate``."""

    @abstractmethod
    def evaluation_step(self, outputs: Outputs, batch: dict[str, Any]) -> list[ResultT]:
        """The evaluation result of each sample of ``batch``; ``loss`` is NaN if there is none."""

    def differences(self, one: Outputs, other: Outputs) -> Array:
        """The differences of two models' outputs on the same images: one per value, relative to the output's largest
        value or to 1, whichever is larger."""
        return np.concatenate([(np.abs(one[name] - other[name]) / max(1.0, np.abs(one[name]).max(initial=0))).ravel()
                               for name in self.outputs])

    def card(self) -> dict[str, Any]:
        """The input and outputs of the model, for those who run it."""
        colours = ("RGB, a grey image in all three" if self.channels == 3 else
                   "one for each band of the image, or of image.windows")
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

        ``images`` (1, channels, height, width) float32 in [0, 1] is an example input for tracing. The file takes a
        batch of any size; with ``each_image`` it runs the module once per image, for modules that take one at a time.
        You may write more files next to ``path``. Any exception means that the module cannot be exported.
        """

    def open(self, path: Path, exporter: Exporter) -> Runner:
        """Open the file as its users do, on the CPU; outputs have the names of ``exporter.outputs``."""

    def companions(self) -> Mapping[str, bytes]:
        """Files to add next to the model, by name, such as a script that runs it."""
