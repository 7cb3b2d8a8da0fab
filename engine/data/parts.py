"""The part of an image that a sample shows: images too large to be decoded whole are read no further."""

from __future__ import annotations

from dataclasses import dataclass

from sightsmith.core.contracts.dataset import Sample, Tile
from sightsmith.core.contracts.image import Array, Frame, PartReader
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.images import STACKED, as_input, opened_sample
from sightsmith.engine.data.large_image import reduction


@dataclass(frozen=True)
class ImagePart:
    """``values`` (h, w, C) show the part ``box`` of an image of ``size`` (height, width), perhaps at reduced size."""

    values: Array
    box: Tile
    size: tuple[int, int]

    def covers(self, tile: Tile | None) -> bool:
        """Whether ``tile`` of the image is in it, at full size; None is the whole image."""
        left, top, width, height = tile or (0, 0, *self.size[::-1])
        return (self.values.shape[:2] == self.box[:1:-1] and self.box[0] <= left and self.box[1] <= top
                and left + width <= self.box[0] + self.box[2] and top + height <= self.box[1] + self.box[3])

    def cut(self, box: Tile) -> Array:
        """The ``values`` that show ``box``, which lies in this part."""
        across, down = self.values.shape[1] / self.box[2], self.values.shape[0] / self.box[3]
        left, top = round((box[0] - self.box[0]) * across), round((box[1] - self.box[1]) * down)
        return self.values[top:top + max(round(box[3] * down), 1), left:left + max(round(box[2] * across), 1)]


def read_part(sample: Sample, image: ImageConfig, side: int) -> ImagePart:
    """The image of a checked ``sample`` as the keys ``image`` say: see :func:`.images.read_input`.

    Of an image too large to be decoded whole only the sample's tile, if it is one, reduced by a power of two as long as
    no side gets shorter than ``side`` pixels. Raises ImageError.
    """
    frame, box, size = read_frame_part(sample, image, side, sample.tile)
    return ImagePart(as_input(frame, image), box, size)


def read_frame_part(sample: Sample, image: ImageConfig, side: int, box: Tile | None,
                    ) -> tuple[Frame, Tile, tuple[int, int]]:
    """All bands of ``box`` (None: the whole image), or of the whole image if it can be decoded; the box that they show,
    and the (height, width) of the image. Raises ImageError."""
    with opened_sample(sample, stack=image.pages == STACKED) as (reader, index):
        if not isinstance(reader, PartReader):
            frame = reader.frame(index)
            height, width = frame.values.shape[:2]
            return frame, (0, 0, width, height), (height, width)
        width, height = reader.upright
        box = box or (0, 0, width, height)
        return reader.part(index, box, reduction(box[2:], side)), box, (height, width)
