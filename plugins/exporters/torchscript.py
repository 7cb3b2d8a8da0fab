"""TorchScript: a file for PyTorch, from Python or C++, without this package."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightsmith.plugin import Array, Exporter, Outputs, Runner
from sightsmith.plugins.exporters.recording import recording


class TorchScript:
    """See :class:`sightsmith.core.contracts.exporter.ExportFormat`."""

    def write(self, exporter: Exporter, images: Tensor, path: Path, each_image: bool) -> None:
        with recording(exporter, images):
            recorded: Any = torch.jit.trace(_AsList(exporter.module), images, check_trace=False, strict=False)
            if each_image:
                recorded = torch.jit.script(_EachImage(recorded, len(exporter.outputs)))
            buffer = io.BytesIO()  # into a file, it ends the process where the disk is full
            torch.jit.save(recorded, buffer)
            path.write_bytes(buffer.getbuffer())

    def open(self, path: Path, exporter: Exporter) -> Runner:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(path, map_location="cpu")

        def run(images: Array) -> Outputs:
            with torch.no_grad():
                return {name: value.numpy()
                        for name, value in zip(exporter.outputs, module(torch.from_numpy(images)), strict=True)}

        return run

    def companions(self) -> Mapping[str, bytes]:
        return {}


class _EachImage(nn.Module):
    """Runs a recorded module for one image on each image of a batch. Scripted, so that the loop is in the file."""

    def __init__(self, recorded: Any, outputs: int) -> None:
        super().__init__()
        self.recorded, self.outputs = recorded, outputs

    def forward(self, images: Tensor) -> list[Tensor]:
        found: list[list[Tensor]] = []
        for place in range(images.size(0)):
            found.append(self.recorded(images[place:place + 1]))
        return [torch.cat([one[number] for one in found]) for number in range(self.outputs)]


class _AsList(nn.Module):
    """TorchScript has no tuples of variable length."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.module(images))
