"""Augmentations, which plugins bring: random changes of the training images and of what is annotated in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from typing import Any, Literal

from sightsmith.core.contracts.record import Record


@dataclass(frozen=True)
class Option:
    """An option of an augmentation: its default, whose type is the option's, its help and, where they apply, its range
    or choices, and the tasks that alone have it."""

    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def field(self) -> Field[Any]:
        """Like a key of the schema."""
        found: Any = field(default=self.default, metadata=vars(self))
        found.type = type(self.default).__name__
        return found


PROBABILITY = Option(0.0, "probability for an image in an epoch; 0: off", low=0, high=1)
MIN_EPOCHS = Option(0, "not used in a training of fewer epochs", low=0)
CLOSING = Option(0.1, "share of the epochs, the last ones, without it", low=0, high=1)


@dataclass(frozen=True, kw_only=True)
class AugmentationRecord(Record):
    """An augmentation of training images. The builder is called with its options as keywords; it raises UserError,
    ValueError or TypeError for options that it cannot use. By ``kind`` it returns a ``PhotometricAugmentation``, a
    ``GeometricAugmentation`` or a ``ComposingAugmentation`` (:mod:`sightsmith.engine.data.annotated_image`).

    The user sets ``augment.extra.<name>.<option>``: its ``options``, ``probability``, ``min_epochs`` and, if composing,
    ``closing``; these three are sightsmith's matter. ``tasks`` are those that it is for, () all of them. With
    ``colours``, the builder also takes ``rgb``: whether images of three channels are in colour, which other bands and
    ``image.windows`` are not.
    """

    options: Mapping[str, Option] = field(default_factory=dict)
    kind: Literal["photometric", "geometric", "composing"] = "photometric"
    tasks: tuple[str, ...] = ()
    colours: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, option in self.options.items():
            if type(option.default) not in (bool, int, float, str):
                raise ValueError(f"the option {name!r} of {self.name!r} has the default {option.default!r}; it must "
                                 "be a number, a truth value or text")

    @property
    def keys(self) -> dict[str, Option]:
        """All that the user can set."""
        closing = {"closing": CLOSING} if self.kind == "composing" else {}
        return {"probability": PROBABILITY, "min_epochs": MIN_EPOCHS, **closing, **self.options}
