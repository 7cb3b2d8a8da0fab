"""Label Studio: exports as JSON and JSON-MIN, and the files of its storages."""

from __future__ import annotations

import base64
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sightsmith.plugin import (
    IMAGE_SUFFIXES,
    DatasetIndex,
    FormatMatch,
    Problem,
    listed,
    read_flag,
    read_head,
    read_id,
    read_json,
    relative_name,
    walk_files,
)
from sightsmith.plugins.formats.label_studio_min import as_task, choice_key, is_min
from sightsmith.plugins.formats.label_studio_objects import read_results
from sightsmith.plugins.formats.tool_dataset import Place, ToolDataset

PROBED = 20
"""JSON files that are looked into when the format is detected."""
IMAGE_KEYS = ("image", "img", "photo", "picture", "image_url", "url")
UPLOAD = re.compile(r"^/?data/upload/(\d+/)?")
PREFIX = re.compile(r"(^|/)[0-9a-f]{8}-(?=[^/]+$)")
"""What Label Studio puts before the names of uploaded files."""


class LabelStudio:
    """A JSON or JSON-MIN export of a project, or a JSON for each task, and the images.

    Regions of rectangles, polygons, ellipses and brushes are objects, one for each label that they have; choices are
    labels of the image. Of several annotations of an image, the first that is not cancelled counts. Images are found
    with or without the prefix that Label Studio puts before the names of uploaded files.
    """

    def detect(self, root: Path) -> FormatMatch | None:
        found = [path for path in itertools.islice(_json_files(root), PROBED) if _is_export(path, root)]
        return FormatMatch(0.915, f"annotation of Label Studio in {relative_name(found[0], root)}") if found else None

    def read(self, root: Path, report: Callable[[str], None] | None = None) -> DatasetIndex:
        data = ToolDataset(root, "label_studio")
        files = [path for path in _json_files(root) if _is_export(path, root)]
        if not files:
            data.problems.append(Problem("no JSON of Label Studio was found", hint="export the project as JSON"))
        left_out: dict[str, list[str]] = defaultdict(list)
        for path in files:
            name = relative_name(path, root)
            content, problem = read_json(path, root)
            data.problems += [problem] if problem else []
            tasks = content if isinstance(content, list) else [content]
            for place, task in _tasks([task for task in tasks if task is not None], name, data):
                _read_task(task, place, data, left_out)
        for reason, places in left_out.items():
            data.problems.append(Problem(f"{len(places)} {reason}: {listed(places)}", severity="warning"))
        return data.index()


def _json_files(root: Path) -> Iterator[Path]:
    """Files of a target storage are numbers without a suffix."""
    return (path for path in walk_files(root) if path.suffix.lower() == ".json" or path.name.isdecimal())


def _is_export(path: Path, root: Path) -> bool:
    head = read_head(path, root)
    if '"categories"' in head:  # COCO, whose annotation may have any key besides its own
        return False
    if '"result"' in head and re.search(r'"(annotations|completions|completed_by|was_cancelled|from_name)"', head):
        return True
    return head.lstrip().startswith("[") and re.search(r'"(annotation_id|annotator|original_width)"', head) is not None


def _tasks(tasks: list[Any], file: str, data: ToolDataset) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Each task with its place; records of JSON-MIN, of which one is an annotation, as tasks."""
    found: dict[Any, tuple[Place, dict[str, Any]]] = {}
    short = [task for task in tasks if isinstance(task, dict) and is_min(task)]
    try:
        choice = choice_key(short, IMAGE_KEYS)
    except ValueError as error:
        data.problems.append(Problem(str(error), file=file, hint="export the project as JSON instead of JSON-MIN"))
        return
    for number, task in enumerate(tasks, 1):
        key = read_id(task.get("id")) if isinstance(task, dict) else None
        place = Place(file, f"task {number if key is None else key}")
        if not isinstance(task, dict):
            data.problems.append(place.problem("is not a JSON object"))
            continue
        same: Any = number  # tasks of two projects may have the same id
        if is_min(task):
            task = as_task(task, choice)
            same = number if key is None else (key, *_paths(task["data"], None))
        if same in found:
            found[same][1]["annotations"] += task["annotations"]
        else:
            found[same] = place, task
    yield from found.values()


def _read_task(task: dict[str, Any], place: Place, data: ToolDataset, left_out: dict[str, list[str]]) -> None:
    where = f"{place.file} ({place.entry})"
    if "result" in task:  # a storage has an annotation in a file, with its task inside
        inner = task.get("task")
        task = {"data": inner.get("data") if isinstance(inner, dict) else None, "annotations": [task]}
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list):
        data.problems.append(place.problem("has no list 'annotations'", "export the project as JSON"))
        return
    kept = [item for item in annotations if isinstance(item, dict) and not read_flag(item.get("was_cancelled"))]
    if not kept:
        left_out["tasks were skipped by their annotators and are left out" if annotations else
                 "tasks have no annotation yet and are left out"].append(where)
        return
    if len(kept) > 1:
        left_out["tasks have several annotations, of which the first counts"].append(where)
    texts = _paths(task.get("data"), task.get("file_upload"))
    found = read_results(kept[0].get("result"), place)
    data.problems += found.problems
    image = data.find(texts[0] if texts else None, place, others=texts[1:])
    if image is not None:
        data.add(image, place, found.labels, found.objects, found.size)


def _paths(data: Any, upload: Any) -> list[str]:
    """What may be the path of the image, most likely first."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}
    named = [texts[key] for key in IMAGE_KEYS if key in texts]
    suffixed = [text for text in texts.values() if Path(urlsplit(text).path).suffix.lower() in IMAGE_SUFFIXES]
    found = [_path(text) for text in [*named, *suffixed][:1]] + ([upload] if isinstance(upload, str) and upload else [])
    return list(dict.fromkeys([*found, *(PREFIX.sub(r"\1", text) for text in found)]))


def _path(text: str) -> str:
    """The path in the URL of a local storage, of a storage that Label Studio resolves, or of an uploaded file."""
    try:
        query = parse_qs(urlsplit(text).query)
        if "d" in query and "local-files" in text:
            return query["d"][0]
        if "fileuri" in query:
            return base64.b64decode(query["fileuri"][0], altchars=b"-_").decode()
    except ValueError:  # no URL, or another coding
        return text
    return UPLOAD.sub("", text)
