"""Helpers of all formats: walking folders and reading text, numbers and JSON."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sightsmith.plugin import Problem, is_image

LARGEST_JSON = 2 * 2**30
LARGEST_TEXT = 64 * 2**20


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which ``image10`` comes after ``image9``."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part)


def walk(folder: Path) -> Iterator[Path]:
    """Every visible file below ``folder``, in natural order; links to folders are not followed."""
    for base, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith((".", "__MACOSX"))), key=natural)
        for name in sorted((name for name in files if not name.startswith(".")), key=natural):
            yield Path(base) / name


def inside(root: Path, path: Path) -> bool:
    """Whether ``path`` is below ``root`` once links are resolved."""
    return path.resolve().is_relative_to(root.resolve())


def subfolders(folder: Path) -> list[Path]:
    """The visible folders directly in ``folder``, in natural order."""
    return sorted((path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX"))),
                  key=lambda path: natural(path.name))


def has_images(folder: Path) -> bool:
    return any(is_image(path) for path in walk(folder))


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def images_in(folder: Path, root: Path) -> Iterator[Path]:
    """The images below ``folder``; links to files outside ``root`` are skipped."""
    return (path for path in walk(folder) if is_image(path) and inside(root, path))


def stems(root: Path) -> dict[tuple[Path, str], list[Path]]:
    """The images below ``root`` by folder and stem."""
    found: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in images_in(root, root):
        found[path.parent, path.stem].append(path)
    return found


def numbers(values: Any, count: int | None = None) -> tuple[float, ...] | None:
    """``count`` (None: any number of) real numbers, from numbers or text; None for anything else.

    Infinity and NaN pass: the check of objects reports them with their place.
    """
    if not isinstance(values, (list, tuple)) or count not in (None, len(values)):
        return None
    if not all(isinstance(value, (int, float, str)) and not isinstance(value, bool) for value in values):
        return None
    try:
        return tuple(float(value) for value in values)
    except (ValueError, OverflowError):
        return None


def read_text(path: Path, root: Path, largest: int = LARGEST_TEXT) -> tuple[str, None] | tuple[None, Problem]:
    """``(content, None)`` of a UTF-8 file, or ``(None, problem)``."""
    name = relative(path, root)
    if not inside(root, path):
        return None, Problem("is a link to a file outside the data set", file=name)
    try:
        if path.stat().st_size > largest:
            return None, Problem(f"is larger than {largest // 2**20:,} MiB", file=name)
        return path.read_text(encoding="utf-8-sig"), None
    except UnicodeDecodeError as error:
        return None, Problem(f"is not UTF-8: {error.reason} at byte {error.start}", file=name,
                             hint="save it as UTF-8")
    except OSError as error:
        return None, Problem(f"cannot be read: {error.strerror or error}", file=name)


def read_json(path: Path, root: Path) -> tuple[Any, Problem | None]:
    """``(content, None)`` or ``(None, problem)``."""
    text, problem = read_text(path, root, LARGEST_JSON)
    if text is None:
        return None, problem
    try:
        return json.loads(text), None
    except json.JSONDecodeError as error:
        return None, Problem(f"is not JSON: {error.msg}", file=relative(path, root), line=error.lineno)
    except (RecursionError, ValueError) as error:
        return None, Problem(f"cannot be read: {error}", file=relative(path, root))
