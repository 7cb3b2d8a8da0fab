"""Parquet files of images with their labels, boxes or semantic masks, as Hugging Face stores them; needs pyarrow."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    ImageFrame,
    Problem,
    Split,
    about_link,
    cache_dir,
    is_inside,
    read_head,
    relative_name,
    split_of,
    walk_files,
    write_atomic,
)
from sightsmith.plugins.formats.class_table import read_class_table
from sightsmith.plugins.formats.hf_image_folder import about_numbers
from sightsmith.plugins.formats.hf_names import names_in_card, names_in_features
from sightsmith.plugins.formats.hf_rows import LABELS, Columns, RowReader, choose_columns
from sightsmith.plugins.formats.semantic_masks import Pair, about_unpaired, index_of_masks
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset

MAGIC = "PAR1"
BATCH = 16
LARGEST_GROUP = 8 * 2**30
"""Unpacked bytes of a row group, which is read at once."""
LARGEST_IMAGE = 2**30
IMAGES = ("image", "img", "picture", "photo")
MASKS = ("mask", "masks", "annotation", "segmentation", "segmentation_mask", "semantic_mask", "label", "labels")
SUFFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"),
    (b"II+\0", ".tif"), (b"GIF8", ".gif"), (b"RIFF", ".webp"))
"""By the first bytes of an image."""


def suffix_of(content: bytes) -> str | None:
    return next((suffix for start, suffix in SUFFIXES if content.startswith(start)), None)


@dataclass(frozen=True)
class _Table:
    """The columns of a file: that of its images, of semantic masks if it has such, and of the rest."""

    image: str
    mask: str | None
    columns: Columns

    @property
    def wanted(self) -> list[str] | None:
        """The columns to read; None for all."""
        return None if self.columns.objects == "" else [
            name for name in (self.image, self.mask, self.columns.labels, self.columns.objects) if name is not None]


class Parquet:
    """Files of rows with an image, its bytes or its path, and columns as in :class:`HfImageFolder`; or with a second
    image, the semantic mask, whose values ``id2label.json`` or ``classes.txt`` names as in :class:`MaskFolders`.

    The images are written into the cache: data sets are never modified. The names of classes are in the file, or in a
    ``README.md``. A file or its folder may be named after a split: ``train-00000-of-00002.parquet``.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = list(_files(root))
        return FormatMatch(0.845, f"{len(found)} Parquet files") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "parquet")
        files = list(_files(root))
        if not files:
            data.problems.append(Problem("no Parquet file was found"))
        try:
            import pyarrow.parquet  # noqa: F401  an optional dependency
        except ImportError:
            data.problems.append(Problem("Parquet files need pyarrow, which is not installed",
                                         hint="pip install 'sightsmith[parquet]'"))
            return data.index()
        card, numbered, pairs = names_in_card(root), set[str](), dict[str, Pair]()
        for path in files:
            numbered |= _read_file(path, data, card, pairs)
        data.problems += about_numbers(numbered)
        index = data.index()
        return _with_masks(index, pairs) if pairs else index


def _files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root)
            if path.suffix.lower() == ".parquet" and read_head(path, root, 4) == MAGIC)


def _with_masks(index: DatasetIndex, pairs: Mapping[str, Pair]) -> DatasetIndex:
    """The images of ``index`` that have a semantic mask, by their names."""
    splits, problems = {sample.name: sample.split for sample in index.samples}, list(index.problems)
    problems += about_unpaired([name for name in splits if name not in pairs])
    masks = index_of_masks(index.root, "parquet", [pairs[name] for name in splits if name in pairs],
                           read_class_table(index.root, [index.root], problems), problems)
    samples = tuple(replace(sample, split=splits[sample.name]) for sample in masks.samples)
    return replace(masks, samples=samples, problems=tuple(problems))


def _read_file(path: Path, data: ToolDataset, card: Mapping[str, tuple[str, ...]], pairs: dict[str, Pair]) -> set[str]:
    """Add the images of a file, and the ``pairs`` of those with a semantic mask by name; returns the classes that are
    numbers without a name."""
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    place = Place(relative_name(path, data.root))
    if not is_inside(data.root, path):
        data.problems.append(place.problem(about_link(path)))
        return set()
    try:
        with ParquetFile(path) as file:
            names = {**card, **names_in_features(_features(file.schema_arrow))}
            table = _table(file.schema_arrow, names)
            if table is None or (table.mask is None and table.columns.labels is None and table.columns.objects is None):
                data.problems.append(place.problem(
                    f"has no column of {'images' if table is None else 'labels, objects or masks'}",
                    f"its columns are {', '.join(file.schema_arrow.names)[:200]}"))
                return set()
            groups = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
            if max(groups, default=0) > LARGEST_GROUP:
                data.problems.append(place.problem(f"has a row group of more than {LARGEST_GROUP // 2**30} GiB",
                                                   "write it in smaller row groups"))
                return set()
            data.declare(names.get(table.columns.objects or table.columns.labels or "", ()))
            reader, number = RowReader(table.columns, names, data.problems), 0
            for batch in file.iter_batches(BATCH, columns=table.wanted):
                for row in batch.to_pylist():
                    _add_row(row, number, table, path, reader, data, pairs)
                    number += 1
            return reader.numbered
    except (arrow.ArrowException, OSError, ValueError) as error:
        data.problems.append(place.problem(f"cannot be read: {str(error)[:200]}"))
        return set()


def _add_row(row: dict[str, Any], number: int, table: _Table, path: Path, reader: RowReader, data: ToolDataset,
             pairs: dict[str, Pair]) -> None:
    place = Place(relative_name(path, data.root), f"row {number}")
    labels, objects = reader.read(row, place)
    found = _image(row.get(table.image), place, path, data)
    if found is None:
        return
    image, named = found
    name = f"{place.file}/{number:06}-{named}" if named else relative_name(image.path, data.root)
    value = row.get(table.mask) if table.mask else None
    given = any(value.values()) if isinstance(value, dict) else value is not None
    mask = _image(value, place, path, data) if given else None
    if mask is not None and name not in data.images:
        pairs[name] = Pair(image.path, mask[0].path, name, f"{place.file} ({place.entry})")
    data.add(image, place, labels, objects, split=_split_of(path, data.root),
             name=name if named else "")


def _image(value: Any, place: Place, path: Path, data: ToolDataset) -> tuple[ImageFrame, str] | None:
    """The file of an image, and its name if it was inside the Parquet file; None with a problem."""
    content, named = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if not isinstance(content, bytes):
        found = data.find(named if isinstance(named, str) else content, place, [path.parent])
        return None if found is None else (found, "")
    suffix = suffix_of(content)
    if suffix is None or len(content) > LARGEST_IMAGE:
        data.problems.append(place.problem("has an image that is neither PNG, JPEG, TIFF, BMP, GIF nor WebP"
                                           if suffix is None else
                                           f"has an image of more than {LARGEST_IMAGE // 2**20} MiB"))
        return None
    file = cache_dir() / "embedded" / f"{hashlib.sha256(content).hexdigest()}{suffix}"
    if not os.path.isfile(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content)
    stem = PurePosixPath(named.replace("\\", "/")).stem if isinstance(named, str) and named else "image"
    return ImageFrame(file), f"{stem}{suffix}"


def _table(schema: Any, names: Mapping[str, tuple[str, ...]]) -> _Table | None:
    """None without a column of images. That of masks counts only without usual ones of labels and of objects."""
    images = list(_image_columns(schema))
    image = next((name for name in images if name.lower() not in MASKS), None) or next(iter(images), None)
    if image is None:
        return None
    columns = choose_columns([name for name in schema.names if name not in images], names)
    labelled = columns.objects is not None or (columns.labels or "").lower() in LABELS
    mask = None if labelled else next((name for usual in MASKS for name in images
                                       if name.lower() == usual and name != image), None)
    return _Table(image, mask, columns if mask is None else Columns(None, None))


def _image_columns(schema: Any) -> Iterable[str]:
    """The columns of bytes and paths, of bytes, or of paths with a usual name, the likeliest to be images first."""
    import pyarrow.types as types

    kinds = {field.name: field.type for field in schema}
    both = [name for name, kind in kinds.items() if types.is_struct(kind)
            and {"bytes", "path"} <= {kind.field(place).name for place in range(kind.num_fields)}]
    alone = [name for name, kind in kinds.items() if types.is_binary(kind) or types.is_large_binary(kind)]
    usual = [name for name in kinds if name.lower() in IMAGES]
    return dict.fromkeys([*(name for name in both if name in usual), *both, *alone, *usual])


def _features(schema: Any) -> Any:
    try:
        return json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return None


def _split_of(path: Path, root: Path) -> Split | None:
    folders = (split_of(name) for name in path.relative_to(root).parts[:-1])
    return split_of(path.stem, of_file=True) or next((split for split in folders if split), None)
