"""A folder for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Problem,
    Sample,
    Split,
    about_link,
    counted,
    files_in,
    has_images,
    is_image,
    is_inside,
    listed,
    natural_order,
    relative_name,
    split_of,
    subfolders,
    walk_files,
)

TOP = "classes"


class ClassFolders:
    """``Classes/<class>/*``, or ``<class>/*`` directly in the root; images may be in subfolders of a class."""

    def detect(self, root: Path) -> FormatMatch | None:
        top = self._top(root)
        filled = [folder for folder in subfolders(top, root) if has_images(folder)]
        if top != root and subfolders(top, root):
            return FormatMatch(0.95, f"a folder {top.name}/ with {len(subfolders(top, root))} class folders")
        if filled and all(split_of(folder.name) for folder in filled):
            return None  # a classifier of training and test images
        if len(filled) > 1 or (filled and len(subfolders(top, root)) > 1):
            return FormatMatch(0.6, f"{len(filled)} folders of images")
        return FormatMatch(0.3, f"one folder of images, {filled[0].name}/") if filled else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        top = self._top(root)
        problems: list[Problem] = []
        samples = read_classes(root, top, None, problems)
        filled = {label for sample in samples for label in sample.labels}
        classes = tuple(folder.name for folder in subfolders(top, root) if folder.name in filled)
        stray = [relative_name(path, root) for path in files_in(top) if is_image(path)]
        if stray:
            problems.append(Problem(f"{counted(len(stray), 'image is', 'images are')} next to the class folders and "
                                    f"ignored: {listed(stray)}", severity="warning"))
        return DatasetIndex(root, "class_folders", classes, tuple(samples), problems=tuple(problems))

    def _top(self, root: Path) -> Path:
        return next((folder for folder in subfolders(root, root) if folder.name.lower() == TOP), root)


def read_classes(root: Path, top: Path, split: Split | None, problems: list[Problem]) -> list[Sample]:
    """The images of every class folder in ``top``; other files become a warning, and a folder without images an error.
    """
    samples = []
    for folder in subfolders(top, root):
        others, found = [], 0
        for path in walk_files(folder):
            name = relative_name(path, root)
            if not is_image(path):
                others.append(name)
            elif not is_inside(root, path):
                problems.append(Problem(about_link(path), file=name, hint="copy the image into the data set"))
            else:
                found += 1
                samples.append(Sample(path, name, (folder.name,), split=split))
        if not found:
            there = f", but {counted(len(others), 'other file')}: {listed(others)}" if others else ""
            problems.append(Problem(f"the class folder has no images{there}", file=relative_name(folder, root),
                                    hint="add images to it, or remove it"))
        elif others:
            problems.append(Problem(f"{counted(len(others), 'file is no image', 'files are no images')} and ignored: "
                                    f"{listed(others)}", file=relative_name(folder, root), severity="warning"))
    return sorted(samples, key=lambda sample: natural_order(sample.name))
