"""What a data set's folder holds that is not read: folders that the system refuses, and runs of ours."""

from __future__ import annotations

import os
from pathlib import Path

from sightsmith.core.util.errors import Problem, listed
from sightsmith.engine.data.annotation_files import SYSTEM_FOLDERS, is_run, relative_name


def about_folders(root: Path) -> list[Problem]:
    """Warnings about folders below ``root`` that are left out."""
    refused: list[OSError] = []
    runs: list[str] = []
    for base, folders, _ in os.walk(root, onerror=refused.append):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS)
        for name in [name for name in folders if is_run(Path(base) / name)]:
            runs.append(relative_name(Path(base) / name, root))
            folders.remove(name)
    problems = [Problem(f"cannot be read, so nothing in it is used: {error.strerror}", severity="warning",
                        file=relative_name(Path(os.fsdecode(error.filename)), root)) for error in refused]
    if runs:
        problems.append(Problem(f"{len(runs)} folders of runs are no data and are left out: {listed(runs)}",
                                severity="warning", hint="output_dir=FOLDER keeps runs elsewhere"))
    return problems
