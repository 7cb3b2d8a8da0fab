"""The folders of Pascal VOC."""

from __future__ import annotations

import os
from pathlib import Path

from sightsmith.plugin import subfolders

IMAGES = "JPEGImages"


def voc_folder(root: Path, sibling: str) -> Path | None:
    """The folder with ``JPEGImages`` and ``sibling``: the root or at most two levels below (``VOCdevkit/VOC2012``)."""
    level = [root]
    for _ in range(3):
        for folder in level:
            if os.path.isdir(folder / IMAGES) and os.path.isdir(folder / sibling):
                return folder
        level = [inner for folder in level for inner in subfolders(folder, root)]
    return None
