"""Writes Parquet files as Hugging Face's ``datasets`` reads them, with the images inside."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as arrow
from PIL import Image
from pyarrow.parquet import ParquetWriter

from sightsmith.plugin import (
    SPLIT_NAMES,
    DatasetIndex,
    ImageInfo,
    MaskError,
    Sample,
    UserError,
    listed,
    of_crowds,
    semantic_map,
    write_json,
)
from sightsmith.plugins.formats.class_table import BACKGROUND, IGNORED_NAMES
from sightsmith.plugins.formats.parquet import LARGEST_IMAGE, suffix_of
from sightsmith.plugins.formats.writing import ANOTHER

GROUP = 100
"""Rows that are read at once, as ``datasets`` writes pictures."""
SHARD = 500 * 10**6
"""Bytes of the images in a file, unless a single one has more."""
_IMAGE = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
_Row = tuple[Sample, ImageInfo]


def write_parquet(index: DatasetIndex, infos: Mapping[str, ImageInfo], folder: Path) -> list[str]:
    """``data/train-00000-of-00001.parquet`` and so on, all images in ``train`` without a split; numbers of classes, of
    which the files have the names. Masks are merged into one of class numbers, named by ``id2label.json``.

    What it cannot hold, :func:`check_parquet` says.
    """
    schema, notes = _schema(index), []
    (folder / "data").mkdir()
    parts: dict[str, list[_Row]] = {}
    for sample in index.samples:
        name = SPLIT_NAMES[sample.split or "train"][-1 if sample.split == "validation" else 0]
        parts.setdefault(name, []).append((sample, infos[sample.name]))
    for name, rows in parts.items():
        shards = list(_shards(rows))
        for number, shard in enumerate(shards):
            _write(folder / "data" / f"{name}-{number:05}-of-{len(shards):05}.parquet", schema, shard, index)
    if index.annotation == "masks":
        write_json(folder / "id2label.json", dict(enumerate([BACKGROUND[0], *index.classes])))
        if any(not item.region for sample in index.samples for item in sample.objects):
            notes = ["the objects of an image are merged into one mask of classes: this format does not separate "
                     "objects, and later ones cover earlier ones"]
        return notes
    return of_crowds(index.samples)


def check_parquet(index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> None:
    """Raises UserError for images that Hugging Face does not decode, more classes than a mask holds, and those that are
    called like the background."""
    refused = [sample.image for sample in index.samples if not _is_decoded(sample.path)]
    if refused:
        raise UserError(f"Hugging Face decodes PNG, JPEG, TIFF, BMP, GIF and WebP of at most {LARGEST_IMAGE // 2**20} "
                        f"MiB, so Parquet cannot have {len(refused)} of the images: {listed(refused)}",
                        hint=f"convert them to PNG or TIFF first, or {ANOTHER}")
    if index.annotation != "masks":
        return
    if named := [name for name in index.classes if name.lower() in (*BACKGROUND, *IGNORED_NAMES)]:
        raise UserError(f"in masks of Parquet, {listed(named)} would be no class: pixels that are called so are "
                        "background, or ignored", hint=f"rename it, or {ANOTHER}")
    try:
        semantic_map(Sample(Path(), ""), index.classes, 1, 1)
    except MaskError as error:
        raise UserError(str(error), hint=ANOTHER) from error


def _is_decoded(path: Path) -> bool:
    with path.open("rb") as file:
        return suffix_of(file.read(16)) is not None and path.stat().st_size <= LARGEST_IMAGE


def _schema(index: DatasetIndex) -> Any:
    """Columns, and their meaning for ``datasets`` in the metadata."""
    value, names = arrow.int64(), {"names": list(index.classes), "_type": "ClassLabel"}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if index.annotation == "labels":
        column = ("labels", arrow.list_(value)) if index.multi_label else ("label", value)
        features[column[0]] = _list_of(names) if index.multi_label else names
    elif index.annotation == "boxes":
        box = arrow.list_(arrow.float64(), 4)
        column = ("objects", arrow.struct([("bbox", arrow.list_(box)), ("category", arrow.list_(value))]))
        side = {"dtype": "float64", "_type": "Value"}
        features["objects"] = {"bbox": _list_of({**_list_of(side), "length": 4}), "category": _list_of(names)}
    else:
        column = ("mask", _IMAGE)
        features["mask"] = {"_type": "Image"}
    return arrow.schema([("image", _IMAGE), column], {"huggingface": json.dumps({"info": {"features": features}})})


def _list_of(feature: Mapping[str, Any]) -> dict[str, Any]:
    return {"feature": feature, "_type": "Sequence"}


def _shards(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    shard: list[_Row] = []
    size = 0
    for sample, info in rows:
        added = sample.path.stat().st_size
        if shard and size + added > SHARD:
            yield shard
            shard, size = [], 0
        shard.append((sample, info))
        size += added
    yield shard


def _write(path: Path, schema: Any, rows: Iterable[_Row], index: DatasetIndex) -> None:
    numbers = {name: number for number, name in enumerate(index.classes)}
    with ParquetWriter(path, schema) as file:
        waiting = iter(rows)
        while group := list(islice(waiting, GROUP)):
            content = [{"image": {"bytes": sample.path.read_bytes(), "path": Path(sample.name).name},
                        **_annotation(sample, info, index, numbers)} for sample, info in group]
            file.write_table(arrow.Table.from_pylist(content, schema))


def _annotation(sample: Sample, info: ImageInfo, index: DatasetIndex, numbers: Mapping[str, int]) -> dict[str, Any]:
    if index.annotation == "labels":
        found = [numbers[name] for name in sample.labels]
        return {"labels": found} if index.multi_label else {"label": found[0]}
    if index.annotation == "boxes":
        kept = [item for item in sample.objects if not item.crowd]
        boxes = [[left, top, right - left, bottom - top] for left, top, right, bottom in (item.box for item in kept)]
        return {"objects": {"bbox": boxes, "category": [numbers[item.label] for item in kept]}}
    values = semantic_map(sample, index.classes, info.height, info.width)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return {"mask": {"bytes": stream.getvalue(), "path": f"{Path(sample.name).stem}.png"}}
