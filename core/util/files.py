"""Atomic writes: a reader never sees half a file."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import platformdirs

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.text import is_text

SHOWN = 40
"""Characters of a name in that of its temporary file; all of a long one would leave no room for the rest."""
LONGEST_NAME = 200
"""Bytes of a name to which something is added; file systems allow 255 in all."""


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace ``path`` with ``data`` atomically: after a crash it holds either the old or the new content. Raises
    UserError for text with a name that is not UTF-8."""
    try:
        payload = data.encode() if isinstance(data, str) else data
    except UnicodeEncodeError as error:
        around = str(error.object)[max(error.start - 40, 0):error.end + 20]
        raise UserError(f"cannot write {path}: a name in it is not UTF-8: {around!r}",
                        hint="rename the file or folder") from error
    fill_file(path, lambda temporary: temporary.write_bytes(payload))


def fill_file(path: Path, fill: Callable[[Path], object]) -> None:
    """Replace ``path`` atomically with what ``fill`` writes to the path it gets."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:SHOWN]}.")
    os.close(handle)
    temporary = Path(name)
    try:
        fill(temporary)
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_temporary(paths: Iterable[Path]) -> None:
    """Remove those of ``paths`` that :func:`fill_file` has left in processes that were killed."""
    for path in paths:
        if re.fullmatch(r"\..+\.[a-z0-9_]{8}", path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def fill_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Create ``folder`` atomically with what ``fill`` writes to the path it gets; an existing folder is kept."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:SHOWN]}."))
    try:
        fill(temporary)
        temporary.chmod(0o755)
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and its parents if needed. Raises UserError if that is not possible."""
    ensure_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, str(error)) from error


def ensure_writable(folder: Path) -> None:
    """Raises UserError if ``folder`` is a file, cannot be created, is not writable or has a name that no text can hold.
    Creates nothing."""
    if not is_text(str(folder.absolute())):
        raise _unwritable(folder.absolute(), "its name is not UTF-8, so no report could name it")
    there = next(place for place in (folder, *folder.absolute().parents) if os.path.exists(place))
    if not there.is_dir():
        raise _unwritable(folder, f"{there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise _unwritable(folder, f"no permission to write to {there}")


def _unwritable(folder: Path, reason: str) -> UserError:
    return UserError(f"cannot write to {folder}: {reason}", hint="choose another folder")


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` atomically with ``value`` as indented JSON."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def stem_of(path: PurePath) -> str:
    """The name without its suffix, of which ``.gz`` is a part: ``x`` of ``x.png`` and of ``x.nii.gz``."""
    return PurePath(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def short_path(name: str) -> str:
    """The relative path ``name``, of which the last part leaves room for a suffix; the end of a long one is a digest
    of it."""
    path = PurePosixPath(name)
    content = path.name.encode()
    if len(content) <= LONGEST_NAME:
        return name
    return str(path.with_name(content[:LONGEST_NAME].decode(errors="ignore") + f"-{sha256(content).hexdigest()[:12]}"))


def typed_path(text: str | Path) -> Path:
    """The path that somebody typed: ``~`` and ``~/...`` are below the home folder, and so is ``~name``, that of a user,
    unless there is a file or folder of this name."""
    name = str(text)
    own = name.startswith("~") and name.partition("/")[0] != "~" and os.path.lexists(name)
    return Path(name if own else os.path.expanduser(name))


def resolved_path(text: str | Path) -> Path:
    """:func:`typed_path`, absolute and without links; one that leads to itself is kept."""
    return Path(os.path.realpath(typed_path(text)))


def cache_dir() -> Path:
    """Folder for unpacked archives and embedded data sets: ``$SIGHTSMITH_CACHE``, or the platform's user cache folder
    (``~/.cache/sightsmith`` on Linux)."""
    own = os.environ.get("SIGHTSMITH_CACHE")
    return typed_path(own) if own else platformdirs.user_cache_path("sightsmith", appauthor=False)
