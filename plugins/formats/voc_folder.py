"""The folders of Pascal VOC."""

from __future__ import annotations

from pathlib import Path

from sightsmith.plugins.formats.files import subfolders

IMAGES = "JPEGImages"


def voc_folder(root: Path, beside: str) -> Path | None:
    """The folder with ``JPEGImages`` and ``beside``: the root, or at most two below (``VOCdevkit/VOC2012``)."""
    level = [root]
    for _ in range(3):
        for folder in level:
            if (folder / IMAGES).is_dir() and (folder / beside).is_dir():
                return folder
        level = [inner for folder in level for inner in subfolders(folder)]
    return None
