"""The images that annotation names, by paths of this or of another machine."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from sightsmith.core.contracts.dataset import IMAGE_SUFFIXES
from sightsmith.core.util.errors import NAMED, Problem, listed, near
from sightsmith.core.util.files import stem_of
from sightsmith.core.util.text import counted, is_text
from sightsmith.engine.data.annotation_files import images_in, is_there, relative_name
from sightsmith.engine.data.image_files import known_readers, suffixes

SHOWN = 80
"""Characters of a path in a message."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])")
_FRAME = re.compile(r"(.+)#([0-9]{1,9})")


class ImageFrame(NamedTuple):
    """An image file, or a ``frame`` of one that has several."""

    path: Path
    frame: int | None = None

    def name(self, root: Path) -> str:
        """As the sample's ``image``: the path from ``root``, with ``#frame``."""
        return relative_name(self.path, root) + ("" if self.frame is None else f"#{self.frame}")


def split_frame(text: str) -> tuple[str, int | None]:
    """The path and the number of ``scan.nii.gz#12``; None if it names no frame."""
    match = _FRAME.fullmatch(text)
    return (match[1], int(match[2])) if match else (text, None)


class ImageFinder:
    """Finds images below ``root``, never one outside of it.

    ``usual`` are the folders, relative to ``root``, in which paths of the annotation begin. A path that does not lead
    to a file as it is written (absolute, of Windows, a URL, with ``..`` or of an older suffix) is matched by its
    longest ending that exactly one image has.
    """

    def __init__(self, root: Path, usual: Iterable[str] = ("",)) -> None:
        self._root, self._usual = root, tuple(dict.fromkeys(usual))
        self._moved: list[str] = []
        self._unknown = 0

    def find(self, text: str, first: Iterable[Path] = ()) -> Path:
        """The image that ``text`` names, tried in the folders ``first`` and then the usual ones.

        Raises ValueError with the reason, and a hint if there is one.
        """
        shown = repr(text if len(text) <= SHOWN else f"...{text[-SHOWN:]}")
        if not text.strip() or "\0" in text:
            raise ValueError("the image path is empty" if not text.strip() else f"{shown} has a NUL character")
        folders = list(dict.fromkeys([*first, *(self._root / name for name in self._usual)]))
        parts = _parts(text)
        written = [folder / spelling for folder in folders for spelling in dict.fromkeys((text, "/".join(parts)))]
        for path in written:
            if is_there(path, self._root) and os.path.isfile(path):
                return self._within(path)
        candidates = self._without_suffix(written)
        if not candidates:
            candidates = self._by_ending([part for part in parts if part != ".."], folders)
            if len(candidates) == 1:
                self._moved.append(f"{shown} ({relative_name(candidates[0], self._root)})")
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise ValueError(f"{shown} could be {listed([relative_name(path, self._root) for path in candidates])}",
                             "write its path from the data set's folder, with the suffix")
        self._unknown += 1  # more than a few are no typing errors, and looking for near names takes long
        names = {path.name for path in self._images} if self._unknown <= NAMED else ()
        raise ValueError(f"there is no image {shown} in the data set.{near(parts[-1] if parts else text, names)}")

    def find_frame(self, text: str, first: Iterable[Path] = ()) -> ImageFrame:
        """:meth:`find`, where ``text`` may be ``scan.nii.gz#12``: a frame, unless a file has this name."""
        folders = list(first)
        try:
            return ImageFrame(self.find(text, folders))
        except ValueError:
            name, frame = split_frame(text)
            if frame is None:
                raise
        return ImageFrame(self.find(name, folders), frame)

    def problems(self, file: str | None = None) -> list[Problem]:
        """A warning about the images of annotation ``file`` that were found by the ending of their paths."""
        if not self._moved:
            return []
        matched = counted(len(self._moved), "path of an image did not exist as written and was",
                          "paths of images did not exist as written and were")
        return [Problem(f"{matched} matched by the ending: {listed(self._moved)}", file=file, severity="warning")]

    def _within(self, path: Path) -> Path:
        """``path`` without ``..``, below the root as it was typed."""
        return self._root / path.resolve().relative_to(self._root.resolve()) if ".." in path.parts else path

    @cached_property
    def _images(self) -> list[Path]:
        return list(images_in(self._root, self._root))

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """The images by name, by name in small letters, by stem, and as tools clean names."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in self._images:
            for key in {path.name, path.name.lower(), f"{stem_of(path)}.", f"/{_cleaned(path.name)}"}:
                found[key].append(path)
        return found

    def _without_suffix(self, written: list[Path]) -> list[Path]:
        """The images that one of the paths ``written`` names but for its suffix."""
        for path in written:
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                found = [image for image in self._by_name.get(f"{path.name}.", []) if image.parent == path.parent]
                if found:
                    return found
        return []

    def _by_ending(self, parts: list[str], folders: list[Path]) -> list[Path]:
        """The images with the longest ending in common with ``parts``; of several, those in ``folders``."""
        if not parts:
            return []
        name = parts[-1]
        ending = max((suffix for suffix in suffixes(known_readers()) if name.lower().endswith(suffix)), key=len,
                     default="")
        stem = name[:len(name) - len(ending)]
        known = self._by_name
        found = [path for path in known.get(name, []) if path.name == name] or known.get(name.lower()) \
            or known.get(f"{stem}.") or known.get(f"/{name}", [])
        lengths = [_common(path.relative_to(self._root).parts[:-1], parts[:-1]) for path in found]
        longest = [path for path, length in zip(found, lengths, strict=True) if length == max(lengths)]
        usual = [path for path in longest if path.parent in folders]
        return usual if len(longest) > 1 and len(usual) == 1 else longest


def _parts(text: str) -> list[str]:
    """The parts of a path, a Windows path or a URL, without drive, host and query."""
    text = text.strip()
    if _URL.match(text):
        text = unquote(urlsplit(text).path)
    text = _DRIVE.sub("", text)
    parts = [part for part in re.split(r"[\\/]+", text) if part not in ("", ".")]
    return [unquote(part) for part in parts] if "%" in text else parts


def _cleaned(name: str) -> str:
    """``name`` as Django cleans those of uploads, and with it Label Studio: ``a_(1).jpg`` is ``a_1.jpg``. One that is
    not UTF-8 is of Windows-1252, as texts are."""
    text = name if is_text(name) else os.fsencode(name).decode("cp1252", "replace")
    return re.sub(r"[^-\w.]", "", text.strip().replace(" ", "_"))


def _common(one: tuple[str, ...], other: list[str]) -> int:
    """How many parts are equal, from the end on."""
    count = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        count += 1
    return count
