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
from sightsmith.core.util.errors import PluginError, UserError, near
from sightsmith.engine.runs.heads import Layout, find_heads, plain_layout
from sightsmith.engine.runs.published import read_starting_weights
from sightsmith.engine.runs.weights import PLAIN_STEM, Stem, load_by_class

PREFIX = "network."
"""Prefix of the module's tensors in checkpoints and bundles, where it is wrapped as ``network``."""


def build_module(record: ModuleNetworkRecord, *, num_classes: int, channels: int, size: int,
                 options: Mapping[str, Any]) -> nn.Module:
    """The module that the record's builder returns; ``options`` are the user's.

    Raises UserError for options that the builder does not take, and PluginError, which names the plugin, where it does
    not take the other arguments, returns something else, or its module has no submodule called ``record.backbone``.
    """
    sizes = {"num_classes": num_classes, "channels": channels, "size": size}
    parameters = inspect.signature(record.build()).parameters.values()
    names = [item.name for item in parameters]
    if not any(item.kind is item.VAR_KEYWORD for item in parameters) and (unknown := [*(options.keys() - {*names})]):
        own = [name for name in names if name not in sizes]
        raise UserError(f"network.options: {record.name} has no option {', '.join(unknown)}.{near(unknown[0], own)}",
                        hint=f"its options: {', '.join(own) or 'none'}")
    module = record.make(**{**sizes, **record.options, **options})
    what = f"plugin {record.provider}: network {record.name!r}: the builder {record.builder} returned a"
    if not isinstance(module, nn.Module):
        raise PluginError(f"{what} {type(module).__name__}, not a torch.nn.Module")
    try:
        module.get_submodule(record.backbone)
    except AttributeError as error:
        parts = ", ".join(name for name, _ in module.named_children())
        raise PluginError(f"{what} {type(module).__name__} without a submodule {record.backbone!r}: {error}",
                          hint=f"its submodules are {parts}") from error
    return module


def load_module_weights(module: nn.Module, record: NetworkRecord, chosen: NetworkConfig, classes: Sequence[str],
                        larger: Callable[[], nn.Module], layout: Callable[[str, int, int], Layout] | None = None,
                        stem: Stem = PLAIN_STEM) -> LoadReport | None:
    """Load the file that ``network.weights`` stands for into ``module``; None for random weights.

    Heads go to the ``classes`` of their names where the file names its classes: ``larger`` builds the same network with
    one class more, ``layout`` is that of :func:`find_heads` (one row a class, unless given); ``stem`` is for another
    number of channels. Raises UserError where the file cannot be read or does not fit.
    """
    starting = read_starting_weights(record, chosen)
    if starting is None:
        return None
    tensors = {name.removeprefix(PREFIX): value for name, value in starting.file.tensors.items()}
    return starting.report(load_by_class(
        module, replace(starting.file, tensors=tensors), starting.source, classes,
        lambda: find_heads(module.state_dict(), larger().state_dict(), layout or (lambda *_: plain_layout)),
        stem))
