"""The files of a data set: folders, text and JSON. Everything that a format reads is opened here: regular files inside
the data set, of bounded size; what the system refuses becomes a problem with its path."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sightsmith.core.util.errors import Problem
from sightsmith.core.util.files import stem_of
from sightsmith.core.util.reading import ParseError, parse_json, parse_yaml
from sightsmith.core.util.text import as_text
from sightsmith.engine.data.image_files import is_image, is_inside
from sightsmith.engine.data.known_folders import known

LARGEST_JSON = 2 * 2**30
"""Bytes of a JSON file above which it is refused instead of read."""
LARGEST_TEXT = 64 * 2**20
"""Bytes of any other text above which it is refused instead of read."""
HEAD = 65_536
"""Bytes of a file by which formats recognise it."""

SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information",
                            "lost+found"})
"""Folders that operating systems and network drives make by themselves."""
RUN_FILES = ("status.json", "plan.json")
"""What every run folder has."""

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def natural_order(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which ``image10`` comes after ``image9``."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part)
                 for part in re.split(r"(\d{1,18})", text) if part)


def is_run(folder: Path) -> bool:
    """Whether ``folder`` is a run's, or holds nothing but runs: what a training has written is no data."""
    if _has_run_files(folder):
        return True
    inner = [folder / name for name in _entries(folder)[0] if not name.startswith(".")]
    return bool(inner) and all(map(_has_run_files, inner))


def _has_run_files(folder: Path) -> bool:
    return all(os.path.isfile(folder / name) for name in RUN_FILES)  # unlike Path.is_file, also in a locked folder


def walk_files(folder: Path) -> Iterator[Path]:
    """Every visible file below ``folder``, in natural order; links to folders are not followed, and run folders are
    left out."""
    waiting = [folder]
    while waiting:
        folders, files = known(_listed, waiting.pop())
        yield from files
        waiting += [path for path in reversed(folders) if not path.is_symlink()]


def subfolders(folder: Path, root: Path) -> list[Path]:
    """The visible folders directly in ``folder``, in natural order; run folders are left out, and links out of
    ``root``."""
    return [path for path in known(_listed, folder)[0] if is_inside(root, path)]


def files_in(folder: Path) -> list[Path]:
    """The visible files directly in ``folder``, in natural order."""
    return list(known(_listed, folder)[1])


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """The visible folders and files directly in ``folder``, in natural order, without run folders."""
    folders, files = ([folder / name for name in _visible(names)] for names in _entries(folder))
    return [path for path in folders if not is_run(path)], files


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the folders and of the other entries in ``folder``; none if it cannot be read."""
    _, folders, files = next(os.walk(folder), ("", [], []))
    return folders, files


def _visible(names: list[str]) -> list[str]:
    return sorted((name for name in names if not name.startswith(".") and name not in SYSTEM_FOLDERS),
                  key=natural_order)


def is_there(path: Path, root: Path) -> bool:
    """Whether ``path`` is a file or a folder inside ``root``; not so if the system cannot have such a name."""
    try:
        return os.path.exists(path) and is_inside(root, path)
    except (OSError, ValueError):
        return False


def has_images(folder: Path) -> bool:
    """Whether an image is in ``folder`` or below it."""
    return any(is_image(path) for path in walk_files(folder))


def relative_name(path: Path, root: Path) -> str:
    """``path`` from ``root``, with slashes, as text: what a person sees of a file of the data set."""
    return as_text(path.relative_to(root).as_posix())


def images_in(folder: Path, root: Path) -> Iterator[Path]:
    """The images below ``folder``; links to files outside ``root`` are skipped."""
    return (path for path in walk_files(folder) if is_image(path) and is_inside(root, path))


def images_by_stem(root: Path) -> dict[tuple[Path, str], list[Path]]:
    """The images below ``root`` by folder and stem."""
    found: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in images_in(root, root):
        found[path.parent, stem_of(path)].append(path)
    return found


def about_link(path: Path) -> str:
    """What a link is that does not lead to a file inside the data set."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads to itself"
        return "is a link to a file that is not there"
    return "is a link to a file outside the data set"


def read_bytes(path: Path, root: Path, largest: int = LARGEST_TEXT, size: int = -1,
               ) -> tuple[bytes, None] | tuple[None, Problem]:
    """``(content, None)`` of a regular file inside ``root``, or ``(None, problem)``; ``size``: its first bytes."""
    name = relative_name(path, root)
    if not is_inside(root, path):
        return None, Problem(about_link(path), file=name)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return None, Problem("is not a file", file=name, hint="remove it, or put the file in its place")
        if found.st_size > largest:
            return None, Problem(f"is larger than {largest // 2**20:,} MiB", file=name)
        with path.open("rb") as file:
            return file.read(size), None
    except OSError as error:
        return None, Problem(f"cannot be read: {error.strerror or error}", file=name)


def read_text(path: Path, root: Path, largest: int = LARGEST_TEXT) -> tuple[str, None] | tuple[None, Problem]:
    """``(content, None)`` of a UTF-8 file, or UTF-16 with its mark, or ``(None, problem)``."""
    content, problem = read_bytes(path, root, largest)
    if content is None:
        assert problem is not None
        return None, problem
    try:
        return content.decode(_encoding(content)), None
    except UnicodeDecodeError as error:
        return None, Problem(f"is not UTF-8: {error.reason} at byte {error.start}", file=relative_name(path, root),
                             line=content[:error.start].count(b"\n") + 1, hint="save it as UTF-8")


def unreadable(path: Path, root: Path) -> Problem | None:
    """Why a file cannot be read, by its beginning; JSON must be UTF-8, other text may not be."""
    content, problem = read_bytes(path, root, sys.maxsize, HEAD)
    if content is None or path.suffix.lower() not in (".json", ".jsonl"):
        return problem
    encoding = _encoding(content)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(content)
    except UnicodeDecodeError:
        text = "\0"
    return Problem("is not UTF-8", file=relative_name(path, root), hint="save it as UTF-8") if "\0" in text else None


def read_head(path: Path, root: Path, size: int = HEAD, *, end: bool = False) -> str:
    """The first ``size`` bytes of a regular file inside ``root`` as text, with ``end`` also its last; "" if it cannot
    be read."""
    if not is_inside(root, path):
        return ""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return ""
        with path.open("rb") as file:
            content = file.read(size)
            encoding = _encoding(content)
            text = content.decode(encoding, "ignore")
            if end and found.st_size > size:
                file.seek(max(found.st_size - size, size) // 2 * 2)  # a character of UTF-16 is not cut
                text += file.read(size).decode({"utf-16": "utf-16-le"}.get(encoding, encoding), "ignore")
            return text
    except OSError:
        return ""


def read_json(path: Path, root: Path) -> tuple[Any, Problem | None]:
    """``(content, None)`` or ``(None, problem)``. A key that an object has twice is a problem."""
    return _parsed(path, root, LARGEST_JSON, parse_json)


def read_yaml(path: Path, root: Path, largest: int = LARGEST_TEXT) -> tuple[Any, Problem | None]:
    """``(content, None)`` or ``(None, problem)``. Aliases, tags and a duplicate key are problems."""
    return _parsed(path, root, largest, partial(parse_yaml, dates=True))


def _parsed(path: Path, root: Path, largest: int, parse: Callable[[str], Any]) -> tuple[Any, Problem | None]:
    text, problem = read_text(path, root, largest)
    if text is None:
        return None, problem
    try:
        return parse(text), None
    except ParseError as error:
        return None, Problem(f"cannot be read: {error.reason}", file=relative_name(path, root), line=error.line)


def _encoding(content: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
