"""Safe unpacking of a zipped data set."""

from __future__ import annotations

import errno
import hashlib
import lzma
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightsmith.core.util.errors import Problem, UserError

_CHUNK = 1 << 20
_RATIO_FROM = 100 * 2**20
_CLUTTER = ("__MACOSX", ".DS_Store")


def unpack(archive: Path, target_parent: Path, *, max_files: int = 200_000, max_bytes: int = 50 * 2**30,
           max_ratio: float = 200) -> Path:
    """Unpack a zip once and return the data set's folder.

    The folder is ``<stem>-<12 hex of the archive's SHA-256>`` in ``target_parent``, or the only folder
    inside it. It appears complete or not at all, and is reused if it exists. Raises UserError listing
    every entry that would leave the folder, is a link, encrypted, a special file or a duplicate, and for
    archives of more than ``max_files`` entries, ``max_bytes`` or, above 100 MiB, ``max_ratio`` times
    their packed size.
    """
    digest = hashlib.sha256()
    try:
        with archive.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise UserError(f"{archive.name} cannot be read: {error.strerror}") from error
    target = target_parent / f"{archive.stem}-{digest.hexdigest()[:12]}"
    if not target.is_dir():
        _unpack_new(archive, target, max_files, max_bytes, max_ratio)
    return _inner(target)


def _unpack_new(archive: Path, target: Path, max_files: int, max_bytes: int, max_ratio: float) -> None:
    try:
        with zipfile.ZipFile(archive) as source:
            entries = source.infolist()
            problems = _check(archive.name, entries, max_files, max_bytes, max_ratio)
            if problems:
                raise UserError(f"{archive.name} cannot be unpacked safely:", problems=problems)
            kept = [entry for entry in entries if not _is_clutter(entry.filename)]
            target.parent.mkdir(parents=True, exist_ok=True)
            needed = sum(entry.file_size for entry in kept)
            free = shutil.disk_usage(target.parent).free
            if needed > free:
                raise UserError(f"{archive.name} needs {_size(needed)} in {target.parent}; {_size(free)} are free",
                                hint="free some space, or unpack it elsewhere and name that folder")
            _extract_all(source, kept, target)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # its directory points to a place before the beginning of the file
            raise _damaged(archive, error) from error
        raise UserError(f"{archive.name} cannot be unpacked to {target.parent}: {error.strerror or error}") from error


def _damaged(archive: Path, error: Exception) -> UserError:
    return UserError(f"{archive.name} is damaged or not a supported zip: {error}",
                     hint="copy or download it again, or zip it again without encryption")


def _extract_all(source: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], target: Path) -> None:
    temporary = target.parent / f".{target.name}-{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        for entry in entries:
            path = temporary / _path(entry.filename)
            if entry.is_dir():
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                _extract(source, entry, path)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _extract(source: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    written = 0
    with source.open(entry) as packed, path.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            if written > entry.file_size:
                raise zipfile.BadZipFile(f"'{entry.filename}' is larger than its header says")
            file.write(chunk)
    if written != entry.file_size:
        raise zipfile.BadZipFile(f"'{entry.filename}' is shorter than its header says")


def _check(name: str, entries: Sequence[zipfile.ZipInfo], max_files: int, max_bytes: int,
           max_ratio: float) -> list[Problem]:
    """All problems of the archive's table of contents."""
    messages = []
    if len(entries) > max_files:
        messages.append(f"it has {len(entries):,} entries; at most {max_files:,} are unpacked")
    unpacked, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if unpacked > max_bytes:
        messages.append(f"it unpacks to {_size(unpacked)}; at most {_size(max_bytes)} are unpacked")
    if unpacked > _RATIO_FROM and unpacked > max_ratio * packed:
        messages.append(f"it unpacks to more than {max_ratio:g} times its size, unlike a data set of images")
    seen: dict[str, bool] = {}
    for entry in entries:
        if reason := _refusal(entry):
            messages.append(f"'{entry.filename}' {reason}")
            continue
        key = str(_path(entry.filename)).casefold()
        if key in seen and not (entry.is_dir() and seen[key]):
            messages.append(f"'{entry.filename}' is duplicated (upper and lower case are equal)")
        seen[key] = entry.is_dir()
    messages += [f"'{key}' lies inside a file" for key in seen
                 if not all(seen.get(str(parent), True) for parent in PurePosixPath(key).parents)]
    return [Problem(message, file=name) for message in messages]


def _refusal(entry: zipfile.ZipInfo) -> str | None:
    name = entry.orig_filename.replace("\\", "/")
    if "\0" in name or not (entry.is_dir() or _path(name).name):
        return "is not a usable name"
    if name.startswith("/") or name[1:2] == ":":
        return "is an absolute path"
    if ".." in name.split("/"):
        return "leaves the folder with '..'"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a special file"
    if entry.flag_bits & 1:
        return "is encrypted"
    return None


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _is_clutter(name: str) -> bool:
    return any(part in _CLUTTER for part in _path(name).parts)


def _inner(folder: Path) -> Path:
    found = [path for path in folder.iterdir() if path.name not in _CLUTTER]
    return found[0] if len(found) == 1 and found[0].is_dir() else folder


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
