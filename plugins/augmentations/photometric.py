"""Augmentations that change the values of an image (H, W, C), uint8 or float32 in [0, 1], and move nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sightsmith.plugin import Array, channelwise

if TYPE_CHECKING:
    from numpy.random import Generator

ERASED_RATIO = (0.3, 1 / 0.3)
"""Smallest and largest width by height of an erased rectangle: arXiv 1708.04896."""


@dataclass(frozen=True)
class Grey:
    """The grey value of RGB in all three channels; other images stay as they are."""

    rgb: bool = True

    def __call__(self, image: Array, generator: Generator) -> Array:
        import cv2

        if image.shape[2] != 3 or not self.rgb:
            return image
        return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


@dataclass(frozen=True)
class Blur:
    sigma: float

    def __call__(self, image: Array, generator: Generator) -> Array:
        import cv2

        sigma = generator.uniform(0.1, self.sigma)
        return channelwise(image, lambda part: cv2.GaussianBlur(part, (0, 0), sigma))


@dataclass(frozen=True)
class Noise:
    strength: float

    def __call__(self, image: Array, generator: Generator) -> Array:
        noisy = np.asarray(generator.standard_normal(image.shape, np.float32))
        noisy *= generator.uniform(0, self.strength) * _white(image)
        noisy += image
        return _stored(noisy, image.dtype)


@dataclass(frozen=True)
class Jpeg:
    """What JPEG changes of the 8-bit image is added, so that an image of more bits keeps its depth."""

    quality: int
    rgb: bool = True

    def __call__(self, image: Array, generator: Generator) -> Array:
        import cv2

        quality = int(generator.integers(self.quality, 100))
        bits = image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)
        decoded = np.empty_like(bits)
        for part in _colours(image.shape[2], self.rgb):
            coded = cv2.imencode(".jpg", np.ascontiguousarray(bits[..., part]), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            found: Any = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED)
            decoded[..., part] = found.reshape(decoded[..., part].shape)
        if image.dtype == np.uint8:
            return decoded
        return _stored(image + (decoded.astype(np.float32) - bits) / np.float32(255), image.dtype)


@dataclass(frozen=True)
class Clahe:
    """Contrast-limited adaptive histogram equalization, of the lightness (CIELAB) where the image is RGB."""

    clip_limit: float
    tiles: int
    rgb: bool = True

    def __call__(self, image: Array, generator: Generator) -> Array:
        import cv2

        clahe = cv2.createCLAHE(generator.uniform(1, self.clip_limit), (self.tiles, self.tiles))
        if image.shape[2] != 3 or not self.rgb:
            return np.stack([_equalized(image[..., place], 1, clahe.apply) for place in range(image.shape[2])], 2)
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        lab[..., 0] = _equalized(lab[..., 0], 100, clahe.apply)
        found: Array = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
        return found if image.dtype == np.uint8 else found.clip(0, 1)


@dataclass(frozen=True)
class Gamma:
    """Values to the power of an exponent between 1 / limit and limit, in equal shares below and above 1."""

    limit: float

    def __call__(self, image: Array, generator: Generator) -> Array:
        exponent = self.limit ** generator.uniform(-1, 1)
        if image.dtype == np.uint8:
            return np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)[image]
        return image ** np.float32(exponent)


@dataclass(frozen=True)
class Erasing:
    """A rectangle of random place and shape gets the image's mean: arXiv 1708.04896."""

    area: float

    def __call__(self, image: Array, generator: Generator) -> Array:
        height, width = image.shape[:2]
        area = generator.uniform(0.02, self.area) * height * width
        ratio = np.exp(generator.uniform(*np.log(ERASED_RATIO)))
        down, across = (min(max(round(side), 1), most) for side, most in (
            ((area / ratio) ** 0.5, height), ((area * ratio) ** 0.5, width)))
        top, left = generator.integers(0, height - down + 1), generator.integers(0, width - across + 1)
        image[top:top + down, left:left + across] = image.mean((0, 1))
        return image


@dataclass(frozen=True)
class Automatic:
    """torchvision's RandAugment (arXiv 1909.13719) or TrivialAugment (arXiv 2103.10158), which draw from torch's global
    generator; without ``geometric``, only what moves nothing. Of images that are neither grey nor ``rgb``, each
    channel is changed in the same way as a grey image, whose colours no operation changes."""

    name: str
    geometric: bool
    magnitude: int = 9
    operations: int = 2
    rgb: bool = True

    def __call__(self, image: Array, generator: Generator) -> Array:
        import torch
        from torchvision.transforms import v2

        drawn = {"RandAugment": partial(v2.RandAugment, self.operations, self.magnitude),
                 "TrivialAugment": v2.TrivialAugmentWide}
        made = drawn[self.name]()
        if not self.geometric:
            made._AUGMENTATION_SPACE = {name: space for name, space in made._AUGMENTATION_SPACE.items()
                                        if not name.startswith(("Shear", "Translate", "Rotate"))}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator.integers(2**63)))
            planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            # Channels that are no colours are to torchvision as the frames of a film, of which all are changed alike.
            changed = made(planes if len(planes) == 3 and self.rgb else planes[:, None]).reshape(planes.shape)
        return np.ascontiguousarray(changed.numpy().transpose(1, 2, 0)).clip(0, _white(image)).astype(image.dtype)


rand_augment = partial(Automatic, "RandAugment")
trivial_augment = partial(Automatic, "TrivialAugment")


def _white(image: Array) -> int:
    return 255 if image.dtype == np.uint8 else 1


def _stored(values: Array, dtype: np.dtype) -> Array:
    """float32 ``values`` within the range of ``dtype``."""
    if dtype == np.uint8:
        return np.rint(values, out=values).clip(0, 255).astype(np.uint8)
    return values.clip(0, 1)


def _colours(channels: int, rgb: bool) -> list[slice]:
    """The channels of which a JPEG is made: RGB together, else one by one."""
    return [slice(None)] if channels == 3 and rgb else [slice(place, place + 1) for place in range(channels)]


def _equalized(plane: Array, white: float, apply: Callable[[Array], Array]) -> Array:
    """``apply`` to a plane (H, W) of uint8; what it changes of 8 bits is added to float32 in [0, ``white``]."""
    if plane.dtype == np.uint8:
        return apply(np.ascontiguousarray(plane))
    bits = np.rint(plane * np.float32(255 / white)).clip(0, 255).astype(np.uint8)
    return (plane + (apply(bits).astype(np.float32) - bits) * np.float32(white / 255)).clip(0, white)
