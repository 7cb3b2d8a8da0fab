"""The compute mode of a run, which its plan keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ComputeMode:
    """How the network computes: precision, and memory format of images and weights."""

    precision: str
    memory_format: str = "contiguous"

    def __str__(self) -> str:
        return f"{self.precision} {self.memory_format}"
