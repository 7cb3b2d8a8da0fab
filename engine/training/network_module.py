"""Plain ``torch.nn.Module``s of plugins: built, and given their starting weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from sightsmith.core.contracts.module_network import ModuleNetworkRecord
from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.contracts.weights import LoadReport
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.heads import Layout, find_heads, plain_layout
from sightsmith.engine.runs.published import read_starting_weights
from sightsmith.engine.runs.weights import PLAIN_STEM, Stem, load_by_class

PREFIX = "network."
"""Prefix of the module's tensors in checkpoints and bundles, where it is wrapped as ``network``."""


def build_module(record: ModuleNetworkRecord, *, num_classes: int, channels: int, size: int,
                 options: Mapping[str, Any]) -> nn.Module:
    """The module that the record's builder returns; ``options`` are the user's.

    Raises UserError, which names the record and its builder, where the builder does not take these arguments, returns
    something else, or its module has no submodule called ``record.backbone``.
    """
    builder = record.build()
    arguments = {"num_classes": num_classes, "channels": channels, "size": size, **record.options, **options}
    what = f"The builder {record.builder} of the network {record.name!r}"
    try:
        inspect.signature(builder).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{what} cannot be called with {', '.join(arguments)}: {error}",
                        hint="change network.options, or the builder's parameters") from error
    module = builder(**arguments)
    if not isinstance(module, nn.Module):
        raise UserError(f"{what} returned a {type(module).__name__}, not a torch.nn.Module")
    try:
        module.get_submodule(record.backbone)
    except AttributeError as error:
        raise UserError(f"{what} returned a {type(module).__name__} without a submodule {record.backbone!r}: {error}",
                        hint=f"its submodules are {', '.join(name for name, _ in module.named_children())}") from error
    return module


def load_module_weights(module: nn.Module, record: NetworkRecord, chosen: NetworkConfig, classes: Sequence[str],
                        larger: Callable[[], nn.Module], layout: Callable[[str, int, int], Layout] | None = None,
                        stem: Stem = PLAIN_STEM) -> LoadReport | None:
    """Load the file that ``network.weights`` stands for into ``module``; None for random weights.

    Heads go to the ``classes`` of their names where the file names its classes: ``larger`` builds the same network with
    one class more, ``layout`` is that of :func:`find_heads` (one row a class, unless given); ``stem`` is for another
    number of channels. Raises UserError where the
    file cannot be read or does not fit.
    """
    starting = read_starting_weights(record, chosen)
    if starting is None:
        return None
    tensors = {name.removeprefix(PREFIX): value for name, value in starting.file.tensors.items()}
    return starting.report(load_by_class(
        module, replace(starting.file, tensors=tensors), starting.source, classes,
        lambda: find_heads(module.state_dict(), larger().state_dict(), layout or (lambda *_: plain_layout)),
        stem))
