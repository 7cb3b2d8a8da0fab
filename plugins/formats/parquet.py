"""Parquet files of images with their labels or boxes, as Hugging Face stores them; needs pyarrow."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sightsmith.plugin import (
    DatasetIndex,
    FormatMatch,
    Problem,
    Split,
    cache_dir,
    is_inside,
    read_head,
    relative_name,
    split_of,
    walk_files,
    write_atomic,
)
from sightsmith.plugins.formats.hf_image_folder import about_numbers
from sightsmith.plugins.formats.hf_names import names_in_card, names_in_features
from sightsmith.plugins.formats.hf_rows import RowReader, choose_columns
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset

MAGIC = "PAR1"
BATCH = 16
LARGEST_GROUP = 8 * 2**30
"""Unpacked bytes of a row group, which is read at once."""
LARGEST_IMAGE = 2**30
IMAGES = ("image", "img", "picture", "photo")
SUFFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"BM", ".bmp"), (b"II*\0", ".tif"), (b"MM\0*", ".tif"))
"""By the first bytes of an image."""


class Parquet:
    """Files of rows with an image, its bytes or its path, and columns as in :class:`HfImageFolder`.

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
        card, numbered = names_in_card(root), set[str]()
        for path in files:
            numbered |= _read_file(path, data, card)
        data.problems += about_numbers(numbered)
        return data.index()


def _files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root)
            if path.suffix.lower() == ".parquet" and read_head(path, root, 4) == MAGIC)


def _read_file(path: Path, data: ToolDataset, card: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Add the images of a file; returns the classes that are numbers without a name."""
    import pyarrow as arrow
    from pyarrow.parquet import ParquetFile

    place = Place(relative_name(path, data.root))
    if not is_inside(data.root, path):
        data.problems.append(place.problem("is a link to a file outside the data set"))
        return set()
    try:
        with ParquetFile(path) as file:
            image = _image_column(file.schema_arrow)
            names = {**card, **names_in_features(_features(file.schema_arrow))}
            columns = choose_columns([name for name in file.schema_arrow.names if name != image], names)
            if image is None or (columns.labels is None and columns.objects is None):
                data.problems.append(place.problem(
                    f"has no column of {'images' if image is None else 'labels or objects'}",
                    f"its columns are {', '.join(file.schema_arrow.names)[:200]}"))
                return set()
            groups = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
            if max(groups, default=0) > LARGEST_GROUP:
                data.problems.append(place.problem(f"has a row group of more than {LARGEST_GROUP // 2**30} GiB",
                                                   "write it in smaller row groups"))
                return set()
            data.declare(names.get(columns.objects or columns.labels or "", ()))
            reader, number = RowReader(columns, names, data.problems), 0
            wanted = None if columns.objects == "" else [
                name for name in (image, columns.labels, columns.objects) if name is not None]
            for batch in file.iter_batches(BATCH, columns=wanted):
                for row in batch.to_pylist():
                    _add_row(row, number, image, path, reader, data)
                    number += 1
            return reader.numbered
    except (arrow.ArrowException, OSError, ValueError) as error:
        data.problems.append(place.problem(f"cannot be read: {str(error)[:200]}"))
        return set()


def _add_row(row: dict[str, Any], number: int, image: str, path: Path, reader: RowReader, data: ToolDataset) -> None:
    place = Place(relative_name(path, data.root), f"row {number}")
    labels, objects = reader.read(row, place)
    value = row.get(image)
    content, named = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    split = _split_of(path, data.root)
    if not isinstance(content, bytes):
        found = data.find(named if isinstance(named, str) else content, place, [path.parent])
        if found is not None:
            data.add(found, place, labels, objects, split=split)
        return
    suffix = next((suffix for start, suffix in SUFFIXES if content.startswith(start)), None)
    if suffix is None or len(content) > LARGEST_IMAGE:
        data.problems.append(place.problem("has an image that is neither PNG, JPEG, TIFF nor BMP" if suffix is None else
                                           f"has an image of more than {LARGEST_IMAGE // 2**20} MiB"))
        return
    file = cache_dir() / "embedded" / f"{hashlib.sha256(content).hexdigest()}{suffix}"
    if not os.path.isfile(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content)
    stem = PurePosixPath(named.replace("\\", "/")).stem if isinstance(named, str) and named else "image"
    data.add(file, place, labels, objects, split=split, name=f"{place.file}/{number:06}-{stem}{suffix}")


def _image_column(schema: Any) -> str | None:
    """The column of bytes, of paths with a usual name, or of both."""
    import pyarrow.types as types

    kinds = {field.name: field.type for field in schema}
    both = [name for name, kind in kinds.items() if types.is_struct(kind)
            and {"bytes", "path"} <= {kind.field(place).name for place in range(kind.num_fields)}]
    alone = [name for name, kind in kinds.items() if types.is_binary(kind) or types.is_large_binary(kind)]
    usual = [name for name in kinds if name.lower() in IMAGES]
    return next(iter([*(name for name in both if name in usual), *both, *alone, *usual]), None)


def _features(schema: Any) -> Any:
    try:
        return json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return None


def _split_of(path: Path, root: Path) -> Split | None:
    folders = (split_of(name) for name in path.relative_to(root).parts[:-1])
    return split_of(path.stem, of_file=True) or next((split for split in folders if split), None)
