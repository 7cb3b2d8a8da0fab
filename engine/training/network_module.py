"""Plain ``torch.nn.Module``s of plugins: built, and given their starting weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sightsmith.core.contracts.module_network import ModuleNetworkRecord
from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.contracts.weights import LoadReport
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.heads import Layout, find_heads, plain_layout
from sightsmith.engine.runs.weights import WeightsFile, file_digest, load_by_class, read_weights

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


def load_module_weights(module: nn.Module, chosen: NetworkConfig, classes: Sequence[str],
                        larger: Callable[[], nn.Module], layout: Callable[[str, int, int], Layout] | None = None,
                        ) -> LoadReport | None:
    """Load the file ``network.weights`` into ``module``; None for ``none``.

    Heads go to the ``classes`` of their names where the file names its classes: ``larger`` builds the same network with
    one class more, ``layout`` is that of :func:`find_heads` (one row a class, unless given). Raises UserError for
    ``imagenet``, which plain modules do not have, and where the file cannot be read or does not fit.
    """
    if chosen.weights == "none":
        return None
    if chosen.weights == "imagenet":
        raise UserError(f"The network {chosen.name} has no published weights",
                        hint="type network.weights=none, or the path of a file")
    path = Path(chosen.weights).expanduser()
    file = read_weights(path)
    tensors = {name.removeprefix(PREFIX): value for name, value in file.tensors.items()}
    named = WeightsFile(tensors, file.classes).renamed(chosen.renamed_classes)
    return load_by_class(
        module, named, str(path), file_digest(path), classes,
        lambda: find_heads(module.state_dict(), larger().state_dict(), layout or (lambda *_: plain_layout)))
