"""Class folders below ``train/`` and ``val/``, as in ImageNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sightsmith.plugin import DatasetIndex, FormatMatch, Problem, Sample, Split, natural_order, subfolders
from sightsmith.plugins.formats.class_folders import read_classes
from sightsmith.plugins.formats.splits import SPLIT_NAMES


class TrainValFolders:
    """``train/<class>/*`` and ``val/<class>/*``, and optionally ``test/<class>/*``."""

    def detect(self, root: Path) -> FormatMatch | None:
        train, validation = _find(root, "train"), _find(root, "validation")
        if train and validation and subfolders(train):
            return FormatMatch(0.9, f"folders {train.name}/ and {validation.name}/ with class folders")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        samples: list[Sample] = []
        classes: dict[Split, set[str]] = {}
        splits: tuple[Split, ...] = ("train", "validation")
        for split in splits:
            folder = _find(root, split)
            if folder is None:
                problems.append(Problem(f"there is no folder {' or '.join(SPLIT_NAMES[split])}"))
                continue
            samples += read_classes(root, folder, split, problems)
            classes[split] = {item.name for item in subfolders(folder)}
        train, validation = classes.get("train", set()), classes.get("validation", set())
        for name in sorted(validation - train):
            problems.append(Problem(f"the class {name!r} is in validation only, so the model cannot learn it",
                                    hint="add its folder to training"))
        for name in sorted(train - validation):
            problems.append(Problem(f"the class {name!r} is in training only, so its metrics are undefined",
                                    severity="warning"))
        if test := _find(root, "test"):
            found: list[Problem] = []
            samples += read_classes(root, test, "test", found)
            problems += [replace(problem, severity="warning") for problem in found]  # not used for training
            if not subfolders(test):
                problems.append(Problem(f"the folder {test.name}/ has no class folders and is ignored",
                                        severity="warning"))
        return DatasetIndex(root, "train_val_folders", tuple(sorted(train | validation, key=natural_order)), tuple(samples),
                            problems=tuple(problems))


def _find(root: Path, split: Split) -> Path | None:
    return next((folder for folder in subfolders(root) if folder.name.lower() in SPLIT_NAMES[split]), None)
