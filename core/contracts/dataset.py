"""The dataset index: what a dataset loader found, before an image is opened.

A loader only says which files there are and what the annotation says about them. Sizes, content,
frames and groups are found by :mod:`sightsmith.engine.data.check`, alike for every format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from sightsmith.core.contracts.annotation import Annotation, Object, SemanticMask
from sightsmith.core.util.errors import Problem, UserError

if TYPE_CHECKING:
    from sightsmith.core.contracts.image import ImageInfo

Split = Literal["train", "validation", "test"]
"""A part of a data set; nothing is trained with "test"."""
Tile: TypeAlias = tuple[int, int, int, int]
"""(left, top, width, height) in pixels of the whole image"""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
"""Suffixes, in small letters, of files that are images."""
LONGEST_NAME = 255
"""Bytes of a file's name."""


@dataclass(frozen=True)
class Sample:
    """One image, or one frame of a multi-frame file, with its annotation.

    ``path`` is the file; ``name`` its POSIX path relative to the data set's root, as shown to people.
    ``labels`` are class names (one for single-label, any number for multi-label); where there are
    ``objects`` or a ``semantic_mask``, the classes of these. ``group`` joins samples that must not be torn
    apart by the split; ``split`` is set where the data set brings its own, and nothing is trained with "test".
    ``file`` and ``line`` say where the annotation stands, ``size`` the (width, height) in pixels that it gives the
    image. ``tile`` is the part of the image that this sample shows (None: all of it). ``reader`` is the builder of the
    plugin's reader that the check of the data set found for the file (None: a JPEG, PNG, TIFF or BMP).
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
        """What is independent of other cases: the sample's group, or where it has none, its image."""
        return f"image {self.image}" if self.group is None else f"group {self.group}"


@dataclass(frozen=True)
class DatasetIndex:
    """All samples of a data set and every problem that reading its annotation met.

    ``annotation`` is the richest kind that the data set has; ``classes`` never has the background.
    With ``relative``, x and y of all objects are fractions of their image's width and height; the check
    makes pixels of them.
    """

    root: Path
    format: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    multi_label: bool = False
    problems: tuple[Problem, ...] = field(default=())
    annotation: Annotation = "labels"
    relative: bool = False


@dataclass(frozen=True)
class FormatMatch:
    """How sure a loader is that a folder holds its format (0 < confidence <= 1), and why."""

    confidence: float
    reason: str


class DatasetFormat(Protocol):
    """Reads one dataset format. Both methods are called with an existing folder."""

    def detect(self, root: Path) -> FormatMatch | None:
        """None where the folder does not hold this format; looks at names, not at image content."""

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        """Read the annotation. Never raises for the user's mistakes: collects them as problems."""


Writer: TypeAlias = "Callable[[DatasetIndex, Mapping[str, ImageInfo], Path], list[str]]"
"""Writes a checked index without class maps, tiles and frames into an empty folder, with a copy of each image; the
information on these is by sample name. Returns lines on what the format cannot say."""


def contained_path(root: Path, text: str) -> tuple[Path | None, str | None]:
    """The file that an annotation names by ``text``, kept inside ``root``.

    Returns ``(path, None)`` or ``(None, reason)``; absolute paths, ``..`` and links that leave the
    root are refused. The path need not exist.
    """
    text = text.strip().replace("\\", "/")
    if not text:
        return None, "the image path is empty"
    if "\0" in text:
        return None, "the image path has a NUL character"
    if text.startswith("/") or (len(text) > 1 and text[1] == ":"):
        return None, f"'{text}' is an absolute path; paths are relative to the data set's folder"
    if ".." in text.split("/"):
        return None, f"'{text}' climbs out of the data set's folder with '..'"
    if any(len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME for part in text.split("/")):
        return None, f"'{text[:40]}...' is longer than the name of a file can be"
    path = root / text
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None, f"'{text}' is a link that leaves the data set's folder"
    except (OSError, RuntimeError) as error:
        return None, f"'{text}' cannot be resolved: {error}"
    return path, None


@dataclass(frozen=True)
class CheckedDataset:
    """A data set that was read and looked at; it may still have errors: :meth:`raise_for_errors`.

    ``index`` has a sample for each frame, with its group; ``infos`` is by sample name. ``data_digest``
    hashes pixels and annotation, ``split_digest`` which sample is on which side. ``coverage`` is each
    class's part of all pixels, where there are masks.
    """

    index: DatasetIndex
    reason: str
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    infos: Mapping[str, ImageInfo]
    problems: tuple[Problem, ...]
    data_digest: str
    split_digest: str
    coverage: Mapping[str, float] = field(default_factory=dict)

    def raise_for_errors(self) -> None:
        """Raises UserError with every error; warnings do not count."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            count = f"{len(errors)} problem" + ("s" if len(errors) > 1 else "")
            raise UserError(f"The data set {self.index.root} has {count}:", problems=errors,
                            hint="`sightsmith inspect` with the same arguments checks it again")

