"""The images of a path that a person has typed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.util.errors import UserError, near
from sightsmith.core.util.files import cache_dir, typed_path
from sightsmith.core.util.text import as_text
from sightsmith.engine.data.annotation_files import relative_name
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.image_files import is_image_file, suffixes


def find_images(location: str, readers: Sequence[ImageReaderRecord], typed: str = "") -> dict[str, Path]:
    """The images of ``location``, a file, a zip or a folder with its subfolders, by their path relative to it.
    Errors name it as it was ``typed``, by default as the key ``input``.

    Raises UserError if there are none.
    """
    source, typed = typed_path(location), typed or f"input={location}"
    if not os.path.exists(source):
        raise UserError(f"{typed}: {about_missing(source)}",
                        hint="type the path of an image, a folder of images, or a zip of such a folder")
    if source.is_file() and source.suffix.lower() != ".zip":
        return {as_text(source.name): source}
    root = unpack(source, cache_dir() / "archives") if source.is_file() else source
    found = {relative_name(path, root): path for path in _files(root, readers)}
    if not found:
        raise UserError(f"{typed} contains no images",
                        hint=f"supported: {', '.join(suffixes(readers))}, and "
                             f"{' and '.join(item.title for item in readers if item.magic)} files without a suffix")
    return found


def about_missing(path: Path) -> str:
    """What is said of a ``path`` that does not exist."""
    siblings = [other.name for other in path.parent.iterdir()] if os.path.isdir(path.parent) else []
    return f"there is no such file or folder.{near(path.name, siblings)}"


def _files(root: Path, readers: Sequence[ImageReaderRecord]) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts) \
                and is_image_file(path, readers):
            yield path
