"""Paths that annotations name."""

from __future__ import annotations

from pathlib import Path

LONGEST_NAME = 255
"""Maximum length of a file name, bytes."""


def contained_path(root: Path, text: str) -> tuple[Path | None, str | None]:
    """Resolve ``text``, a path in an annotation, inside ``root``.

    Returns ``(path, None)`` or ``(None, reason)``; absolute paths, ``..`` and links that leave the root are rejected.
    The path need not exist.
    """
    text = text.strip().replace("\\", "/")
    if not text:
        return None, "the image path is empty"
    if "\0" in text:
        return None, "the image path has a NUL character"
    if text.startswith("/") or (len(text) > 1 and text[1] == ":"):
        return None, f"'{text}' is an absolute path; paths are relative to the data set's folder"
    if ".." in text.split("/"):
        return None, f"'{text}' leaves the data set's folder with '..'"
    if any(len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME for part in text.split("/")):
        return None, f"'{text[:40]}...' is longer than a file name can be"
    path = root / text
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return None, f"'{text}' is a link that leaves the data set's folder"
    except (OSError, RuntimeError) as error:
        return None, f"'{text}' cannot be resolved: {error}"
    return path, None
