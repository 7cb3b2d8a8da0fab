"""How folders and files name the splits of a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sightsmith.core.contracts.dataset import Split

SPLIT_NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}
"""Names of the folders and lists of each split."""

_FILLERS = frozenset({"set", "split", "data", "dataset", "image", "images", "img", "imgs", "mask", "masks", "label",
                      "labels", "annotation", "annotations", "ann", "anns", "gt", "sample", "samples"})
"""Words beside the name of a split that say nothing: ``training_set``."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")


def split_of(name: str, *, of_file: bool = False) -> Split | None:
    """The split that a folder is named after: ``train``, ``Val2017``, ``test_set``, but not ``test_tube``.

    With ``of_file`` the ``name`` of a file without its suffix, which may hold other words: ``birds_train``. Words are
    whole: "latest", "interval" and "constrained" name no split, and neither does "train_val", which names two.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    found = {split for split, names in SPLIT_NAMES.items() if set(names) & set(words)}
    known = _FILLERS.union(*SPLIT_NAMES.values())
    return found.pop() if len(found) == 1 and (of_file or known.issuperset(words)) else None
