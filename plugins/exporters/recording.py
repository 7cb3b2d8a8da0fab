"""Prepares an exporter's module for recording, for both formats."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import torch
from torch import Tensor

from sightsmith.plugin import Exporter
from sightsmith.plugins.exporters.plain_operations import plain_operations


@contextmanager
def recording(exporter: Exporter, images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The module's outputs from a first run; warnings and output of the recorder are suppressed inside the block."""
    with (torch.no_grad(), plain_operations(), exporter.traceable(), warnings.catch_warnings(),
          redirect_stdout(io.StringIO())):
        warnings.simplefilter("ignore")
        yield exporter.module(images)
