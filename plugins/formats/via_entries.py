"""The files of VIA: their images, regions and attributes, as they stand there."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightsmith.plugin import Problem, read_json, read_text, relative_name
from sightsmith.plugins.formats.tool_dataset import Place

COLUMNS = ("filename", "file_attributes", "region_shape_attributes", "region_attributes")


@dataclass(frozen=True)
class Region:
    place: Place
    shape: dict[str, Any]
    attributes: dict[str, Any]


@dataclass
class Entry:
    """An image."""

    place: Place
    filename: Any
    attributes: dict[str, Any]
    regions: list[Region] = field(default_factory=list)


@dataclass(frozen=True)
class Export:
    """A file; ``attributes`` are what a project declares for "region" and "file", ``folder`` is that of its images."""

    entries: list[Entry]
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    folder: str = ""


def read_json_export(path: Path, root: Path, problems: list[Problem]) -> Export:
    """A project, or an export as JSON; faults are added to ``problems``."""
    content, problem = read_json(path, root)
    problems += [problem] if problem else []
    content = content if isinstance(content, dict) else {}
    metadata = content.get("_via_img_metadata", content)
    settings = _dict(_dict(content.get("_via_settings")).get("core"))
    place, entries = Place(relative_name(path, root)), []
    for key, item in metadata.items() if isinstance(metadata, dict) else ():
        here = place.below(str(key))
        if not isinstance(item, dict) or not isinstance(item.get("regions", []), (list, dict)):
            problems.append(here.problem("is not an image with 'filename' and 'regions'"))
            continue
        found = item.get("regions", [])
        filename = item.get("filename")
        entry = Entry(place.below(str(filename or key)), filename, _dict(item.get("file_attributes")))
        for number, region in enumerate(found.values() if isinstance(found, dict) else found, 1):
            region = _dict(region)
            entry.regions.append(Region(entry.place.below(f"region {number}"), _dict(region.get("shape_attributes")),
                                        _dict(region.get("region_attributes"))))
        entries.append(entry)
    if not entries and not problem:
        problems.append(place.problem("has no image", "add images to the project and export it again"))
    declared = {kind: _dict(value) for kind, value in _dict(content.get("_via_attributes")).items()}
    folder = settings.get("default_filepath")
    return Export(entries, declared, folder if isinstance(folder, str) and "\0" not in folder else "")


def read_csv_export(path: Path, root: Path, problems: list[Problem]) -> Export:
    """An export as CSV: a row for each region, with JSON in its cells; faults are added to ``problems``."""
    text, problem = read_text(path, root)
    problems += [problem] if problem else []
    file, entries = relative_name(path, root), dict[str, Entry]()
    rows = csv.reader(io.StringIO((text or "").replace("\0", ""), newline=""), strict=True)
    try:
        header = [name.strip().lstrip("#") for name in next(rows, [])]
        if missing := [name for name in COLUMNS if name not in header]:
            problems.append(Problem(f"has no column {', '.join(missing)}", file=file, line=1))
            return Export([])
        columns = [header.index(name) for name in COLUMNS]
        for row in rows:
            place = Place(file, line=rows.line_num)
            if len(row) < len(header):
                problems.extend([place.problem(f"has {len(row)} columns, not {len(header)}")] if row else [])
                continue
            filename = row[columns[0]]
            attributes, shape, values = (_cell(row[column], place, problems) for column in columns[1:])
            entry = entries.setdefault(filename, Entry(place, filename, attributes))
            if shape:
                entry.regions.append(Region(place, shape, values))
    except csv.Error as error:
        problems.append(Problem(f"is not CSV: {error}", file=file, line=rows.line_num))
    return Export(list(entries.values()))


def _cell(text: str, place: Place, problems: list[Problem]) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        problems.append(place.problem(f"{text[:40]!r} is not a JSON object"))
    return _dict(found)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
