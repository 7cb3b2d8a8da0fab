"""The dataset index: what a dataset format reads before any image is opened.

A format lists the files and their annotation. Sizes, content, frames and groups come from
:mod:`sightsmith.engine.data.check`, the same for every format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from sightsmith.core.contracts.annotation import Annotation, Object, SemanticMask
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.text import counted

if TYPE_CHECKING:
    from sightsmith.core.contracts.image import ImageInfo

Split = Literal["train", "validation", "test"]
"""A part of a data set; "test" is never used for training."""
Tile: TypeAlias = tuple[int, int, int, int]
"""(left, top, width, height) in pixels of the whole image"""

IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".avif", ".jp2", ".j2k", ".jpf",
    ".jpx", ".pbm", ".pgm", ".ppm", ".pnm"})
"""Lower-case suffixes of the built-in image formats; image readers bring more."""


@dataclass(frozen=True)
class Sample:
    """One image, or one frame of a multi-frame file, with its annotation.

    ``path`` is the file; ``name`` its POSIX path relative to the data set's root, as shown to the user. ``labels`` are
    class names (one for single-label, any number for multi-label); with ``objects`` or a ``semantic_mask``, their
    classes. Samples with the same ``group`` stay in the same split; ``split`` is set if the data set defines one. The
    annotation is at ``line`` of ``file``, and states the image ``size`` (width, height) in pixels. ``tile`` is the
    part of the image that this sample covers (None: all of it). ``reader`` is the builder of the image reader that the
    data set check found for the file (None: a built-in format).
    """

    path: Path
    name: str
    labels: tuple[str, ...] = ()
    frame: int | None = None
    group: str | None = None
    split: Split | None = None
    file: str | None = None
    line: int | None = None
    objects: tuple[Object, ...] = ()
    semantic_mask: SemanticMask | None = None
    size: tuple[int, int] | None = None
    tile: Tile | None = None
    reader: str | None = None

    @property
    def key(self) -> str:
        """Unique in its data set: the image, with ``@left,top`` for a tile of it."""
        return self.image if self.tile is None else f"{self.image}@{self.tile[0]},{self.tile[1]}"

    @property
    def image(self) -> str:
        """The name, with ``#frame`` for a frame of a multi-frame file."""
        return self.name if self.frame is None else f"{self.name}#{self.frame}"

    @property
    def case(self) -> str:
        """The independent unit of the data: the sample's group or, without one, its image."""
        return f"image {self.image}" if self.group is None else f"group {self.group}"


@dataclass(frozen=True)
class DatasetIndex:
    """All samples of a data set, and every problem found while reading its annotation.

    ``annotation`` is the richest kind in the data set; ``classes`` never includes the background. With ``relative``,
    all coordinates are fractions of the image's width and height, which the check converts to pixels. ``channels`` are
    the names of the files of a case that are the channels of its image, in their order.
    """

    root: Path
    format: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    multi_label: bool = False
    problems: tuple[Problem, ...] = field(default=())
    annotation: Annotation = "labels"
    relative: bool = False
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormatMatch:
    """How certain it is that a folder has this format (0 < confidence <= 1), and why."""

    confidence: float
    reason: str


class DatasetFormat(Protocol):
    """Reads one dataset format. Both methods are called with an existing folder."""

    def detect(self, root: Path) -> FormatMatch | None:
        """None if the folder does not have this format; checks names, not image content."""

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        """Read the annotation. Invalid data never raises; it is collected as problems."""


Writer: TypeAlias = "Callable[[DatasetIndex, Mapping[str, ImageInfo], Path], list[str]]"
"""Writes a checked index without semantic masks, tiles and frames into an empty folder, with a copy of each image;
image infos are by sample name. Returns notes on what the format cannot express."""


@dataclass(frozen=True)
class CheckedDataset:
    """A data set that has been read and checked; it may still have errors: :meth:`raise_for_errors`.

    ``index`` has one sample per frame, with its group; ``infos`` is by sample name. ``data_digest`` hashes pixels and
    annotation, ``split_digest`` the split of each sample. ``coverage`` is each class's share of all pixels, if there
    are masks. ``left_out`` has the names of images that could not be read, with ``dataset.on_bad_image=skip``.
    """

    index: DatasetIndex = field(repr=False)
    reason: str
    train: tuple[Sample, ...] = field(repr=False)
    validation: tuple[Sample, ...] = field(repr=False)
    infos: Mapping[str, ImageInfo] = field(repr=False)
    problems: tuple[Problem, ...]
    data_digest: str
    split_digest: str
    coverage: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def raise_for_errors(self) -> None:
        """Raises UserError with all errors; warnings do not raise."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            count = counted(len(errors), "problem")
            raise UserError(f"The data set {self.index.root} has {count}:", problems=errors,
                            hint="after fixing them, check it with `sightsmith inspect` and the same arguments")
