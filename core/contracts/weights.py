"""Published weights, and the report on loading starting weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PublishedWeights:
    """A published file: a whole network trained on ``dataset``, or only its ``backbone``."""

    url: str
    dataset: str
    licence: str
    backbone: bool = False


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of a weights file were loaded into a model.

    ``mismatched`` pairs a tensor's name with both shapes; ``unused`` tensors are in the file only; ``missing`` ones are
    in the model only, and keep their initial values. ``digest`` is the file's SHA-256, ``published`` what it is unless
    it is a file of the user's. If heads were matched by class name, ``classes`` lists those kept, new and dropped.
    ``adapted`` says of each convolution of the image how its kernels were made for another number of channels.
    """

    source: str
    loaded: tuple[str, ...]
    mismatched: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    how: str = "by name"
    digest: str | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    published: PublishedWeights | None = None
    adapted: tuple[str, ...] = ()
