"""Annotation that no dataset format reads, named for what it is."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

from sightsmith.core.util.errors import Problem
from sightsmith.engine.data.annotation_files import read_head, relative_name, unreadable, walk_files

LOOKED_INTO = 200
"""Files that are looked into."""
NAMED_FILES = 5

_BY_SUFFIX = {".tfrecord": "a TFRecord", ".tfrecords": "a TFRecord", ".record": "a TFRecord", ".mat": "a MATLAB file",
              ".pkl": "a Python pickle, which could run any program", ".h5": "an HDF5 file", ".hdf5": "an HDF5 file",
              ".ndjson": "lines of JSON", ".jsonl": "lines of JSON", ".xlsx": "a spreadsheet", ".xls": "a spreadsheet",
              ".manifest": "a manifest of Amazon SageMaker"}
_MAY_BE = frozenset({".csv", ".json", ".jsonl", ".parquet", ".txt", ".xml", ".yaml", ".yml"})
DECATHLON = "the description of volumes as of the Medical Segmentation Decathlon or nnU-Net, whose masks are missing"
_JSON = ((r'"(modality|channel_names)"\s*:\s*\{', DECATHLON),
         (r'^\s*\[\s*\{[^}]*"score"', "a list of COCO's results, which are predictions"),
         (r'"data_row"|"Labeled Data"', "an export of Labelbox"), (r'"classTitle"', "annotation of Supervisely"),
         (r'"___sa_version___"', "annotation of SuperAnnotate"), (r'"bounding_polygon"', "annotation of another tool"),
         (r'"tagMetadata"|"assets"\s*:', "an export of VoTT"), (r'"annotations"|"labels"|"objects"|"shapes"|"regions"',
                                                              "a JSON of annotation of another tool"))
TABLE = "a table"
EXPORT = "export it from the tool in a format that is read, such as COCO JSON; `sightsmith list formats` shows all"

HINTS = {DECATHLON: "they belong in labelsTr/, beside imagesTr/ and with the same names"}


def unreadable_annotation(root: Path) -> list[Problem]:
    """A warning for each of the first files of ``root`` that may be annotation, but cannot be read."""
    files = (path for path in walk_files(root) if path.suffix.lower() in _MAY_BE)
    found = (unreadable(path, root) for path in itertools.islice(files, LOOKED_INTO))
    return [replace(problem, severity="warning") for problem in found if problem is not None]


def foreign_annotation(root: Path) -> list[Problem]:
    """A problem for each of the first files of ``root`` that look like annotation, with what to do."""
    problems = unreadable_annotation(root)
    for number, path in enumerate(walk_files(root)):
        if number == LOOKED_INTO or len(problems) == NAMED_FILES:
            break
        kind = _kind(path, root)
        if kind is not None:
            hint = "if it is one, rename it" if kind.startswith(TABLE) else HINTS.get(kind, EXPORT)
            problems.append(Problem(f"is {kind}", file=relative_name(path, root), hint=hint))
    return problems


def _kind(path: Path, root: Path) -> str | None:
    """What the annotation in the file is; None if it is none."""
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix == ".json":
        head = read_head(path, root)
        return next((kind for pattern, kind in _JSON if re.search(pattern, head)), None)
    if suffix == ".xml" and (tag := re.search(r"<([A-Za-z_][\w.:-]*)[\s/>]", read_head(path, root))):
        return f"an XML of <{tag[1]}> elements"
    if suffix in (".csv", ".tsv"):
        return f"{TABLE}; the one of images and labels is called label.csv"
    return None
