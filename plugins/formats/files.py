"""Walking folders and reading JSON, for every format alike."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sightsmith.core.dataset import IMAGE_SUFFIXES
from sightsmith.core.errors import Problem

LARGEST_JSON = 2 * 2**30


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which ``image10`` comes after ``image9``."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part)


def walk(folder: Path) -> Iterator[Path]:
    """Every visible file below ``folder``, in natural order; links to folders are not followed."""
    for base, folders, files in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith((".", "__MACOSX"))), key=natural)
        for name in sorted((name for name in files if not name.startswith(".")), key=natural):
            yield Path(base) / name


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def inside(root: Path, path: Path) -> bool:
    """Whether ``path``, links followed, stays below ``root``."""
    return path.resolve().is_relative_to(root.resolve())


def subfolders(folder: Path) -> list[Path]:
    """The visible folders directly in ``folder``, in natural order."""
    return sorted((path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX"))),
                  key=lambda path: natural(path.name))


def has_images(folder: Path) -> bool:
    return any(is_image(path) for path in walk(folder))


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def read_json(path: Path, root: Path) -> tuple[Any, Problem | None]:
    """``(content, None)`` or ``(None, problem)``."""
    name = relative(path, root)
    try:
        if path.stat().st_size > LARGEST_JSON:
            return None, Problem(f"is larger than {LARGEST_JSON // 2**30} GiB", file=name)
        return json.loads(path.read_text(encoding="utf-8-sig")), None
    except json.JSONDecodeError as error:
        return None, Problem(f"is not JSON: {error.msg}", file=name, line=error.lineno)
    except UnicodeDecodeError as error:
        return None, Problem(f"is not UTF-8: {error.reason} at byte {error.start}", file=name,
                             hint="save it again as UTF-8")
    except (OSError, RecursionError, ValueError) as error:
        return None, Problem(f"cannot be read: {error}", file=name)
