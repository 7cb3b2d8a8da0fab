"""Recording an exporter's module while it runs, which both formats begin with."""

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
    """What the module gives, run once before it is recorded, without what the recorder says of every layer."""
    with (torch.no_grad(), plain_operations(), exporter.traceable(), warnings.catch_warnings(),
          redirect_stdout(io.StringIO())):
        warnings.simplefilter("ignore")
        yield exporter.module(images)
