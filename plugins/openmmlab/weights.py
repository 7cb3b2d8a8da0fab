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
    """Load ``chosen.weights``: nothing for ``none``, the published backbone's for ``imagenet``, else a file's.

    Raises UserError if the file is unavailable or does not fit.
    """
    source = chosen.weights
    if source == "none":
        return None
    if source == "imagenet":
        if not published:
            raise UserError("This network's configuration has no published backbone weights",
                            hint="set network.weights=none or network.weights=FILE")
        path = fetch_weights(address(published[0]))
    else:
        path = Path(source).expanduser()
    origin = f"{source} ({path.name})" if source == "imagenet" else str(path)
    return load_file(model, path, origin, classes, heads, chosen.renamed_classes)


def load_file(model: Any, path: Path, origin: str, classes: Sequence[str], heads: Heads,
              rename: Mapping[str, str] | None = None) -> LoadReport:
    """Load a file with a whole network or only a backbone.

    If the file lists its classes, the heads are matched to ``classes`` by name.
    Raises UserError if the file cannot be read or does not fit.
    """
    file, digest = read_weights(path).renamed(rename or {}), file_digest(path)
    whole = set(model.state_dict())
    if not any(name in whole and name.startswith("backbone.") for name in file.tensors):
        return load_matching(model.backbone, _without_prefix(file.tensors), origin, digest)
    return load_by_class(model, file, origin, digest, classes, heads)


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("backbone."): value for name, value in state.items()}


def address(checkpoint: str) -> str:
    """The URL of ``torchvision://name`` or ``open-mmlab://name``; others are URLs already."""
    kind, _, name = checkpoint.partition("://")
    if kind == "torchvision":
        from torchvision.models import get_model_weights

        # The first version of the weights, which the zoo's recipes and scores use.
        return str(get_model_weights(name)["IMAGENET1K_V1"].url)
    if kind in ("open-mmlab", "openmmlab"):
        from mmengine.runner.checkpoint import get_external_models

        addresses = get_external_models()
        if name not in addresses:
            raise UserError(f"mmengine does not know the weights {checkpoint}", hint="set network.weights=none")
        return str(addresses[name])
    return checkpoint
