"""The folders of Pascal VOC."""

from __future__ import annotations

from pathlib import Path

from sightsmith.plugin import subfolders

IMAGES = "JPEGImages"


def voc_folder(root: Path, sibling: str) -> Path | None:
    """The folder with ``JPEGImages`` and ``sibling``: the root or at most two levels below (``VOCdevkit/VOC2012``)."""
    level = [root]
    for _ in range(3):
        for folder in level:
            if (folder / IMAGES).is_dir() and (folder / sibling).is_dir():
                return folder
        level = [inner for folder in level for inner in subfolders(folder)]
    return None
