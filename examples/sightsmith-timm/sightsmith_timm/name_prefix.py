"""A flat folder of images named after their class: ``cat_1.png``, ``dog_17.jpg``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sightsmith.plugin import DatasetIndex, FormatMatch, Problem, Sample, is_image, listed


class NamePrefix:
    """The class is the part of the name before the first underscore."""

    def detect(self, root: Path) -> FormatMatch | None:
        named, others = _images(root)
        classes = {path.name.partition("_")[0] for path in named}
        if others or len(classes) < 2 or any(path.is_dir() for path in root.iterdir()):
            return None
        return FormatMatch(0.5, f"image names start with {listed(sorted(classes))}")

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        named, others = _images(root)
        samples = tuple(Sample(path, path.name, (path.name.partition("_")[0],)) for path in named)
        problems = [Problem("has no class before an underscore", file=path.name, hint="name it <class>_<anything>")
                    for path in others]
        return DatasetIndex(root, "name_prefix", tuple(sorted({sample.labels[0] for sample in samples})), samples,
                            problems=tuple(problems))


def _images(root: Path) -> tuple[list[Path], list[Path]]:
    """The images with and without a class in their names."""
    images = sorted(path for path in root.iterdir() if is_image(path) and not path.is_symlink())
    named = [path for path in images if path.name.partition("_")[0] and "_" in path.name]
    return named, [path for path in images if path not in named]
