"""The check of a data set's classes: enough images of each, none unused, no two that differ in their spelling alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted


def without_unused(index: DatasetIndex, every: Sequence[Sample], least: int, problems: list[Problem]) -> DatasetIndex:
    """``index`` without the classes that neither an image nor a test image of ``every`` has: a warning.

    All are kept if ``least``, ``dataset.min_images_per_class``, is 0, or if none would be left.
    """
    tested = (sample for sample in every if sample.split == "test")
    used = {label for sample in (*index.samples, *tested) for label in sample.labels}
    unused = [name for name in index.classes if name not in used]
    if least == 0 or not unused or not used:
        return index
    what = counted(len(unused), "class of the annotation has no image and is",
                   "classes of the annotation have no image and are")
    problems.append(Problem(f"{what} left out: {listed(unused)}", severity="warning",
                            hint="dataset.min_images_per_class=0 keeps unused classes"))
    return replace(index, classes=tuple(name for name in index.classes if name in used))


def about_classes(index: DatasetIndex, annotated: Sequence[Sample], least: int, problems: Sequence[Problem],
                  ) -> list[Problem]:
    """Problems of ``index`` as training data, each of whose classes needs ``least`` images. ``annotated`` are its
    samples before their images and objects were checked, with these ``problems``: what their errors may have taken
    from a class is not missed."""
    found = _too_few(index, annotated, least, [problem for problem in problems if problem.severity == "error"])
    if index.annotation != "labels" and index.samples and not index.classes:
        nothing = "all masks are background" if index.annotation == "masks" else "no image has an object"
        found.append(Problem(f"there is no class to learn: {nothing}",
                             hint="annotate objects of at least one class"))
    if index.annotation == "labels" and not index.multi_label and len(index.classes) == 1:
        found.append(Problem(f"there is only one class, {index.classes[0]!r}; a classifier needs at least two",
                             hint="add images of another class"))
    alike = defaultdict(list)
    for name in index.classes:
        alike["".join(filter(str.isalnum, name.casefold()))].append(name)
    found += [Problem(f"the classes {' and '.join(map(repr, names))} are spelt alike; are they the same class?",
                      severity="warning", hint="give them one name in the annotation if they are")
              for names in alike.values() if len(names) > 1]
    return found


def _too_few(index: DatasetIndex, annotated: Sequence[Sample], least: int, errors: Sequence[Problem]) -> list[Problem]:
    """The classes of fewer than ``least`` images, but for those that may have them once the ``errors`` are mended."""
    if errors and not index.samples or any(error.file is None for error in errors):
        return []
    files, names = {error.file for error in errors}, {sample.name for sample in annotated}
    elsewhere = sum(error.file not in names for error in errors)  # in annotation: whatever class it is
    counts = Counter(label for sample in index.samples for label in set(sample.labels))
    kept = {(sample.name, label) for sample in index.samples for label in sample.labels}
    told, unused = Counter[str](), Counter[str]()
    for name, file, label in {(sample.name, sample.file, label) for sample in annotated for label in sample.labels}:
        if (name, label) not in kept:
            (told if {name, file} & files else unused)[label] += 1
    few = [name for name in index.classes if counts[name] < least and counts[name] + told[name] + elsewhere < least]
    return [Problem(f"the class {name!r} has {counted(counts[name], 'image')}"
                    + (f", and {unused[name]} that cannot be used" if unused[name] else "")
                    + f"; at least {least} are needed",
                    hint=f"add images, remove the class, or set dataset.min_images_per_class={counts[name]}")
            for name in few]
