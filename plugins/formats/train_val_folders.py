"""Class folders of a given split, as ImageNet has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightsmith.core.dataset import DatasetIndex, Recognition
from sightsmith.core.errors import Problem
from sightsmith.plugins.formats.class_folders import read_classes
from sightsmith.plugins.formats.files import natural, subfolders

TRAINING = ("train", "training")
VALIDATION = ("val", "valid", "validation")
TEST = ("test", "testing")


class TrainValFolders:
    """``train/<class>/*`` and ``val/<class>/*``; a ``test/`` folder is left out."""

    def recognise(self, root: Path) -> Recognition | None:
        train, validation = _find(root, TRAINING), _find(root, VALIDATION)
        if train and validation and subfolders(train):
            return Recognition(0.9, f"folders {train.name}/ and {validation.name}/ with class folders")
        return None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        problems: list[Problem] = []
        samples, classes = [], {}
        for folders, split in ((TRAINING, "train"), (VALIDATION, "validation")):
            side = _find(root, folders)
            if side is None:
                problems.append(Problem(f"there is no folder {' or '.join(folders)}"))
                continue
            samples += read_classes(root, side, split, problems)  # type: ignore[arg-type]
            classes[split] = {folder.name for folder in subfolders(side)}
        train, validation = classes.get("train", set()), classes.get("validation", set())
        for name in sorted(validation - train):
            problems.append(Problem(f"the class {name!r} is in validation only, so it cannot be learnt",
                                    hint="add a folder of it to training"))
        for name in sorted(train - validation):
            problems.append(Problem(f"the class {name!r} is in training only; nothing will be said of how well it is "
                                    "found", severity="warning"))
        if test := _find(root, TEST):
            problems.append(Problem(f"the folder {test.name}/ is not used in training", severity="warning"))
        return DatasetIndex(root, "train_val_folders", tuple(sorted(train | validation, key=natural)), tuple(samples),
                            problems=tuple(problems))


def _find(root: Path, wanted: tuple[str, ...]) -> Path | None:
    return next((folder for folder in subfolders(root) if folder.name.lower() in wanted), None)
