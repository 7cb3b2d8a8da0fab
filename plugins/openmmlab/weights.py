"""Starting weights of the OpenMMLab networks: a published backbone, or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from sightsmith.plugin import (
    Head,
    LoadReport,
    NetworkConfig,
    UserError,
    fetch_weights,
    file_digest,
    load_by_class,
    load_matching,
    read_weights,
)

Heads = Callable[[], Mapping[str, Head]]


def load_starting_weights(model: Any, chosen: NetworkConfig, published: Sequence[str], classes: Sequence[str],
                          heads: Heads) -> LoadReport | None:
    """Load what ``chosen`` says: None for ``none``, the backbone's published ones for ``imagenet``, else a file's.

    Raises UserError where the file cannot be had or does not fit.
    """
    source = chosen.weights
    if source == "none":
        return None
    if source == "imagenet":
        if not published:
            raise UserError("This network's configuration names no published backbone weights",
                            hint="type network.weights=none, or the path of a file")
        path = fetch_weights(address(published[0]))
    else:
        path = Path(source).expanduser()
    origin = f"{source} ({path.name})" if source == "imagenet" else str(path)
    return load_file(model, path, origin, classes, heads, chosen.renamed_classes)


def load_file(model: Any, path: Path, origin: str, classes: Sequence[str], heads: Heads,
              rename: Mapping[str, str] | None = None) -> LoadReport:
    """Load a file that holds a whole network, or a backbone alone, also under other names.

    The heads of a whole one that names its classes are matched to ``classes`` where those are others.
    Raises UserError where the file cannot be read or does not fit.
    """
    file, digest = read_weights(path).renamed(rename or {}), file_digest(path)
    whole = set(model.state_dict())
    if not any(name in whole and name.startswith("backbone.") for name in file.tensors):
        return load_matching(model.backbone, _without_prefix(file.tensors), origin, digest)
    return load_by_class(model, file, origin, digest, classes, heads)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("backbone."): value for name, value in state.items()}


def address(checkpoint: str) -> str:
    """The URL that ``torchvision://name`` or ``open-mmlab://name`` stands for; others are URLs already."""
    kind, _, name = checkpoint.partition("://")
    if kind == "torchvision":
        from torchvision.models import get_model_weights

        # The first generation of weights: what the zoo's recipes and scores rest on.
        return str(get_model_weights(name)["IMAGENET1K_V1"].url)
    if kind in ("open-mmlab", "openmmlab"):
        from mmengine.runner.checkpoint import get_external_models

        addresses = get_external_models()
        if name not in addresses:
            raise UserError(f"mmengine does not know the weights {checkpoint}", hint="type network.weights=none")
        return str(addresses[name])
    return checkpoint
