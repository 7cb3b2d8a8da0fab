"""The images of ``input=``: a file, or what a folder or a zip holds, by the same rules as those of a data set."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.util.errors import Problem, UserError, listed, near
from sightsmith.core.util.files import cache_dir, stem_of, typed_path
from sightsmith.core.util.text import as_text
from sightsmith.engine.data.annotation_files import about_link, relative_name, walk_files
from sightsmith.engine.data.archive import unpack
from sightsmith.engine.data.check_folders import about_folders
from sightsmith.engine.data.image_files import is_image, is_inside, suffixes, using_readers
from sightsmith.engine.data.joined_files import join_files

SEPARATORS = "._- "
"""What may stand before the name of a channel in that of its file."""


@dataclass
class FoundImages:
    """The images by their path relative to the input, a problem for each that is left out, and notes."""

    paths: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_images(location: str, readers: Sequence[ImageReaderRecord], image: ImageConfig, typed: str = "",
                ) -> FoundImages:
    """The images of ``location``, a file, a zip or a folder with its subfolders. Errors name it as it was ``typed``, by
    default as the key ``input``.

    With ``image.case_files``, the files of a folder that has them are one image, called as the folder; of several cases
    in a folder, as what their names begin with. Raises UserError if there are no images.
    """
    source, typed = typed_path(location), typed or f"input={location}"
    if not os.path.exists(source):
        raise UserError(f"{typed}: {about_missing(source)}",
                        hint="type the path of an image, a folder of images, or a zip of such a folder")
    if source.is_file() and source.suffix.lower() != ".zip":
        return FoundImages({as_text(source.name): source})
    root = unpack(source, cache_dir() / "archives") if source.is_file() else source
    found = FoundImages()
    for problem in about_folders(root):
        if problem.severity == "error":
            found.problems.append(problem)
        else:
            found.notes.append(str(problem))
    with using_readers(readers, root):
        for path in walk_files(root):
            if not is_inside(root, path):
                if path.name.lower().endswith(suffixes(readers)):
                    found.problems.append(Problem(about_link(path), file=relative_name(path, root),
                                                  hint="copy the image into the folder, or type its path"))
            elif is_image(path):
                found.paths[relative_name(path, root)] = path
        if image.case_files:
            _join_cases(found, root, [str(name) for name in image.case_files])
    if not found.paths:
        raise UserError(f"{typed} contains no images", problems=found.problems,
                        hint=f"supported: {', '.join(suffixes(readers))}, and "
                             f"{' and '.join(item.title for item in readers if item.magic)} files without a suffix")
    return found


def about_missing(path: Path) -> str:
    """What is said of a ``path`` that does not exist."""
    siblings = [other.name for other in path.parent.iterdir()] if os.path.isdir(path.parent) else []
    return f"there is no such file or folder.{near(path.name, siblings)}"


def _join_cases(found: FoundImages, root: Path, channels: Sequence[str]) -> None:
    """Replace the files of each case that has one of ``channels`` by one image: those of a folder or, if
    several beginnings of names have all channels, those that begin alike."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in found.paths.values():
        folders[path.parent].append(path)
    for folder, paths in folders.items():
        files = {channel: _called(paths, channel) for channel in channels}
        if not any(files.values()):
            continue
        for path in paths:
            del found.paths[relative_name(path, root)]
        begins = sorted({begin for named in files.values() for begin in named})
        several = sum(all(begin in named for named in files.values()) for begin in begins) > 1
        for begin in begins if several else [None]:
            place = folder if begin is None else folder / begin
            name = as_text(place.name) if place == root else relative_name(place, root)
            try:
                found.paths[name] = _joined({
                    channel: [path for own, paths in named.items() if begin in (None, own) for path in paths]
                    for channel, named in files.items()})
            except ImageError as error:
                found.problems.append(Problem(str(error), file=name))


def _called(paths: Sequence[Path], channel: str) -> dict[str, list[Path]]:
    """The files whose names end with ``channel``, by what comes before; only those that are called so, if there are
    any."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        begin, end = stem_of(path)[:-len(channel)], stem_of(path)[-len(channel):]
        if end.lower() == channel.lower() and (not begin or begin[-1] in SEPARATORS):
            found[begin[:-1]].append(path)
    return {"": found[""]} if "" in found else found


def _joined(files: dict[str, list[Path]]) -> Path:
    """Raises ImageError unless each channel has one file."""
    if missing := [channel for channel, paths in files.items() if not paths]:
        raise ImageError(f"it lacks {listed(missing)} of the files {', '.join(files)} that the model takes")
    for channel, paths in files.items():
        if len(paths) > 1:
            raise ImageError(f"it has several files {channel}: {listed([path.name for path in paths])}")
    return join_files(path for [path] in files.values())
