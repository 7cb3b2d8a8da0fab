"""The augmentations of plugins, ``augment.extra``, the same for every task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sightsmith.core.contracts.augmentation import AugmentationRecord
from sightsmith.core.util.errors import PluginError, UserError, describe_error
from sightsmith.engine.data.annotated_image import AnnotatedImage

if TYPE_CHECKING:
    from numpy.random import Generator

    from sightsmith.core.contracts.image import Array

GEOMETRIC, COMPOSING = 1, 2
"""Each kind draws from a generator of its own, so that one changes nothing of another."""


class Seed(int):
    """The seed of an item's augmentation, which also knows ``epochs``, those of the whole training (0: it has no end),
    and ``progress``, the share of them before this one."""

    progress: float = 0.0
    epochs: int = 0

    @classmethod
    def at(cls, value: int, progress: float, epochs: int = 0) -> Seed:
        seed = cls(value)
        seed.progress, seed.epochs = progress, epochs
        return seed


@dataclass(frozen=True)
class CheckedAugmentation:
    """The augmentation of a plugin's record, which answers for its result. ``augmentation`` is one of the protocols of
    :mod:`sightsmith.engine.data.annotated_image`, by the record's ``kind``."""

    record: AugmentationRecord
    augmentation: Callable[..., Any]
    probability: float = 1.0
    min_epochs: int = 0
    closing: float = 0.0

    @property
    def kind(self) -> str:
        return self.record.kind

    def is_due(self, generator: Generator, seed: int) -> bool:
        """Whether an item gets it: by chance, and neither in a short training nor in the closing epochs."""
        short = 0 < getattr(seed, "epochs", 0) < self.min_epochs
        closed = getattr(seed, "progress", 0.0) >= 1 - self.closing - 1e-9
        return not short and not closed and bool(generator.random() < self.probability)

    def __call__(self, *arguments: Any) -> Any:
        """Raises PluginError, which names the plugin, for an exception, and a result of another shape or dtype."""
        try:
            result = self.augmentation(*arguments)
        except UserError:
            raise
        except Exception as error:  # whatever a stranger's code raises
            raise self._broken(f"failed: {describe_error(error)}") from error
        if self.kind == "photometric":
            self._ensure_alike(result, arguments[0])
        elif self.kind == "geometric":
            if getattr(result, "shape", None) != (3, 3) or not abs(np.linalg.det(result)) > 1e-12:
                raise self._broken("returned no regular matrix (3, 3)")
        elif not isinstance(result, AnnotatedImage):
            raise self._broken(f"returned {type(result).__name__}, not an AnnotatedImage")
        return result

    def _ensure_alike(self, changed: Any, image: Array) -> None:
        if getattr(changed, "shape", None) != image.shape or changed.dtype != image.dtype:
            found = f"{changed.dtype}{changed.shape}" if hasattr(changed, "dtype") else type(changed).__name__
            raise self._broken(f"returned {found} for an image {image.dtype}{image.shape}")

    def _broken(self, what: str) -> PluginError:
        key = f"augment.extra.{self.record.name}"
        return PluginError(f"plugin {self.record.provider}: augmentation {self.record.name!r} {what}",
                           hint=f"type {key}.probability=0, and report it to the plugin's author")


def build_augmentation(record: AugmentationRecord, values: Mapping[str, Any], *, rgb: bool = True,
                       ) -> CheckedAugmentation:
    """``record``'s augmentation with ``values`` over its defaults, for images whose three channels are ``rgb``. Raises
    UserError where it cannot use them."""
    values = {name: option.default for name, option in record.keys.items()} | dict(values)
    own = {name: value for name, value in values.items() if name in record.options}
    builder = record.build()
    try:
        made = builder(**own, **({"rgb": rgb} if record.colours else {}))
        return CheckedAugmentation(record, made, values["probability"], values["min_epochs"],
                                   values.get("closing", 0.0))
    except (UserError, ValueError, TypeError) as error:
        defaults = {name: option.default for name, option in record.options.items()}
        raise UserError(f"The augmentation {record.name!r} of {record.provider} cannot be made with the options "
                        f"{own}: {describe_error(error)}", hint=f"its defaults: {defaults}") from error


def apply_augmentations(image: Tensor, augmentations: Sequence[CheckedAugmentation], seed: int) -> Tensor:
    """``image`` (C, H, W), uint8 or float32 in [0, 1], after the photometric ones of ``augmentations``, in order; what
    is random in them depends on ``seed`` alone. Without any it is returned as it is, else a new tensor."""
    if not (photometric := _of_kind(augmentations, "photometric")):
        return image
    generator = np.random.default_rng(seed)
    values = np.array(image.permute(1, 2, 0).numpy(), order="C")  # a copy: `image` may be one that the cache keeps
    for augmentation in photometric:
        if augmentation.is_due(generator, seed):
            values = augmentation(values, generator)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def apply_geometric(image: AnnotatedImage, augmentations: Sequence[CheckedAugmentation], seed: int) -> AnnotatedImage:
    """``image`` moved once by all geometric ones of ``augmentations`` that are due; else as it is."""
    generator, matrix = np.random.default_rng([seed, GEOMETRIC]), None
    for augmentation in _of_kind(augmentations, "geometric"):
        if augmentation.is_due(generator, seed):
            found = np.asarray(augmentation(image.size, generator), float)
            matrix = found if matrix is None else found @ matrix
    return image if matrix is None else image.warped(matrix)


def apply_composing(image: AnnotatedImage, read: Callable[[int, Generator], AnnotatedImage], images: int,
                    augmentations: Sequence[CheckedAugmentation], seed: int) -> AnnotatedImage:
    """``image`` after the composing ones of ``augmentations`` that are due. ``read`` gives another of the ``images`` of
    the training set by its index; where that is random, it draws from the generator."""
    generator = np.random.default_rng([seed, COMPOSING])

    def other() -> AnnotatedImage:
        return read(int(generator.integers(images)), generator)

    for augmentation in _of_kind(augmentations, "composing"):
        if augmentation.is_due(generator, seed):
            image = augmentation(image, other, generator)
    return image


def has_kind(augmentations: Sequence[CheckedAugmentation], kind: str) -> bool:
    """Whether there is one of ``kind``: without any, a data set does not have to convert its items."""
    return bool(_of_kind(augmentations, kind))


def _of_kind(augmentations: Sequence[CheckedAugmentation], kind: str) -> list[CheckedAugmentation]:
    return [item for item in augmentations if item.kind == kind]
