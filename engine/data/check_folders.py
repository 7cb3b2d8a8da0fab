"""What a data set's folder holds that is not read: what the system refuses, links elsewhere, runs of ours, names."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted, is_text
from sightsmith.engine.data.annotation_files import SYSTEM_FOLDERS, is_run, relative_name
from sightsmith.engine.data.foreign import unreadable_annotation
from sightsmith.engine.data.image_files import is_inside


def about_files(index: DatasetIndex, told: Container[str | None]) -> list[Problem]:
    """Problems of folders, names and annotation, but for files that are in ``told``."""
    unread = [problem for problem in unreadable_annotation(index.root) if problem.file not in told]
    return [*about_folders(index.root), *about_names(index), *unread]


def about_names(index: DatasetIndex) -> list[Problem]:
    """Errors about names that no file of text can hold, the data set's and its classes', and about images whose names
    only differ in what is not text."""
    problems = [Problem("its name is not UTF-8, so no report could name it", file=name, hint="rename it")
                for name in (str(index.root.absolute()), *index.classes) if not is_text(name)]
    paths: dict[str, Path] = {}
    return problems + [Problem("two files have this name once it is text", file=sample.name, hint="rename one of them")
                       for sample in index.samples if paths.setdefault(sample.name, sample.path) != sample.path]


def about_folders(root: Path) -> list[Problem]:
    """Problems of folders below ``root`` that are left out."""
    refused: list[OSError] = []
    runs: list[str] = []
    outside: list[str] = []
    for base, folders, _ in os.walk(root, onerror=refused.append):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS)
        paths = [Path(base) / name for name in folders]
        outside += [relative_name(path, root) for path in paths if not is_inside(root, path)]
        for path in [path for path in paths if is_run(path)]:
            runs.append(relative_name(path, root))
            folders.remove(path.name)
    problems = [Problem(f"cannot be read, so nothing in it is used: {error.strerror}", severity="warning",
                        file=relative_name(Path(os.fsdecode(error.filename)), root)) for error in refused]
    problems += [Problem("is a link to a folder outside the data set", file=name,
                         hint="copy the folder into the data set, or remove the link") for name in outside]
    if runs:
        problems.append(Problem(f"{counted(len(runs), 'folder of a run is', 'folders of runs are')} left out: "
                                f"{listed(runs)}", severity="warning",
                                hint="output_dir=FOLDER keeps runs elsewhere"))
    return problems
