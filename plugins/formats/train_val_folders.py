"""Class folders below ``train/`` and ``val/``, as in ImageNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import (
    SPLIT_NAMES,
    DatasetIndex,
    FormatMatch,
    Problem,
    Sample,
    Split,
    has_images,
    natural_order,
    relative_name,
    split_of,
    subfolders,
)
from sightsmith.plugins.formats.class_folders import read_classes


class TrainValFolders:
    """``train/<class>/*`` and ``val/<class>/*``, and optionally ``test/<class>/*``.

    Folders may be called ``training_set``, ``Validation`` and the like. Without ``val/``, the images of ``train/`` are
    divided; those of ``test/`` are never trained with.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        folders = _folders(root)
        train = folders.get("train")
        if train is None or not any(has_images(folder) for folder in subfolders(train, root)):
            return None
        names = " and ".join(f"{folder.name}/" for folder in folders.values())
        return FormatMatch(0.9, f"folders {names} with class folders") if len(folders) > 1 else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        samples: list[Sample] = []
        classes: dict[Split, set[str]] = {}
        folders = _folders(root)
        if "train" not in folders:
            problems.append(Problem("there is no folder train/"))
        for split, folder in folders.items():
            found: list[Problem] = []
            own = read_classes(root, folder, split if split == "test" or "validation" in folders else None, found)
            samples += own
            classes[split] = {item.name for item in subfolders(folder, root)}
            if split != "train":  # an empty folder there takes no image from training
                found = [replace(problem, severity="warning") if problem.file in _empty(folder, root) or split == "test"
                         else problem for problem in found]
            problems += found
            if split == "validation" and not own:
                problems.append(Problem("has no images", file=relative_name(folder, root),
                                        hint="remove it, and a part of the training images is kept for validation"))
            if split == "test" and not classes[split]:
                problems.append(Problem(f"the folder {folder.name}/ has no class folders and is ignored",
                                        severity="warning"))
        train, validation = classes.get("train", set()), classes.get("validation", set())
        for name in sorted(validation - train):
            problems.append(Problem(f"the class {name!r} is in validation only, so the model cannot learn it",
                                    hint="add its folder to training"))
        filled = {label for sample in samples for label in sample.labels}
        for name in sorted(train & filled - validation) if validation else ():
            problems.append(Problem(f"the class {name!r} is in training only, so its metrics are undefined",
                                    severity="warning"))
        for name in sorted(classes.get("test", set()) - train - validation):
            problems.append(Problem(f"the class {name!r} is in the test split only, so the model cannot learn it",
                                    severity="warning"))
        return DatasetIndex(root, "train_val_folders", tuple(sorted((train | validation) & filled, key=natural_order)),
                            tuple(samples), problems=tuple(problems))


def _folders(root: Path) -> dict[Split, Path]:
    """The folder of each split."""
    found: dict[Split, Path] = {}
    for folder in subfolders(root, root):
        split = split_of(folder.name)
        if split is not None:
            found.setdefault(split, folder)
    return {split: found[split] for split in SPLIT_NAMES if split in found}


def _empty(folder: Path, root: Path) -> set[str]:
    """The names of the class folders without images."""
    return {relative_name(item, root) for item in subfolders(folder, root) if not has_images(item)}
