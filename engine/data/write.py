"""Writing a data set, or predictions, in another format, with a copy of each image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.records import DatasetFormatRecord
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir, fill_folder
from sightsmith.core.util.text import counted
from sightsmith.engine.data.frame_files import frames_as_files
from sightsmith.engine.data.masks import IGNORED, box, class_numbers, encode


def find_writer(name: str, formats: Mapping[str, DatasetFormatRecord], annotation: str) -> DatasetFormatRecord:
    """The format called ``name``. Raises UserError if it is unknown, cannot write this kind of ``annotation``, or lacks
    a package."""
    writable = [key for key, record in formats.items() if record.writer and annotation in record.annotations]
    if name not in writable:
        why = "cannot be written" if name in formats and not formats[name].writer else \
            f"has no {annotation}" if name in formats else "does not exist"
        raise UserError(f"The format {name!r} {why}.", hint=f"formats for {annotation}: {', '.join(writable)}")
    try:
        formats[name].build_writer()
    except ModuleNotFoundError as error:
        raise UserError(f"Writing {name} needs {error.name}, which is not installed.",
                        hint=formats[name].install or "choose another format") from error
    return formats[name]


def check_writable(index: DatasetIndex, infos: Mapping[str, ImageInfo], record: DatasetFormatRecord) -> None:
    """Raises UserError if the format cannot hold the images or the classes of ``index``, whatever their annotation.
    Frames become files in the cache for a moment."""
    if record.writer_check is not None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache_dir(), prefix=".frames-") as frames:
            single, known, _ = frames_as_files(index.samples, infos, Path(frames))
            record.check_writer(replace(index, samples=single), known)


def write_dataset(index: DatasetIndex, infos: Mapping[str, ImageInfo], record: DatasetFormatRecord, folder: Path,
                  ) -> list[str]:
    """Write the checked ``index`` into the new ``folder``, frames as images of their own; returns notes on what the
    format cannot express. Raises UserError if the folder exists."""
    if folder.exists():
        raise UserError(f"{folder} already exists and is not overwritten", hint="choose another folder")
    samples, ignored = [], 0
    for sample in index.samples:
        found, partly = _with_regions(sample, infos[sample.name])
        samples.append(found)
        ignored += partly
    notes = [f"pixels that are ignored in the semantic masks of {counted(ignored, 'image')} become background, "
             "because no format that is written has such pixels"] if ignored else []
    write = record.build_writer()

    def fill(place: Path) -> None:
        with TemporaryDirectory(dir=place.parent, prefix=".frames-") as frames:
            single, known, said = frames_as_files(samples, infos, Path(frames))
            whole = replace(index, samples=single)
            record.check_writer(whole, known)
            notes.extend([*said, *write(whole, known, place)])
    fill_folder(folder, fill)
    return notes


def _with_regions(sample: Sample, info: ImageInfo) -> tuple[Sample, bool]:
    """The sample with its semantic mask as one region object per class, and whether any of its pixels is ignored."""
    if sample.semantic_mask is None:
        return sample, False
    classes = list(dict.fromkeys(name for _, name in sample.semantic_mask.values if name is not None))
    numbers = class_numbers(sample.semantic_mask, classes, info.height, info.width)
    return replace(sample, semantic_mask=None, objects=regions(numbers, classes)), bool((numbers == IGNORED).any())


def regions(numbers: Array, classes: Sequence[str]) -> tuple[Object, ...]:
    """One region object per class that occurs in ``numbers`` (height, width), which are i + 1 for ``classes[i]``."""
    found = []
    for number, name in enumerate(classes, 1):
        if (mask := numbers == number).any():
            runs = encode(mask)
            found.append(Object(name, box(runs), runs, region=True))
    return tuple(found)


def of_crowds(samples: Iterable[Sample]) -> list[str]:
    """The note of a format without crowds on those that are left out."""
    count = sum(item.crowd for sample in samples for item in sample.objects)
    return [f"{count} crowds are left out because this format has none"] if count else []
