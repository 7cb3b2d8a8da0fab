"""YOLO's ``data.yaml``: the names of the classes and the images of each split."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sightsmith.plugin import Problem, Split, contained_path, read_text, relative_name

CLASSES = "classes.txt"
LARGEST_YAML = 2**20
KEYS: dict[Split, tuple[str, ...]] = {"train": ("train",), "validation": ("val", "valid", "validation"),
                                      "test": ("test",)}


@dataclass(frozen=True)
class DataFile:
    """Classes by number, and the folders or lists of images per split, if the file has any."""

    file: str | None
    names: dict[int, str]
    splits: dict[Split, list[Path]] = field(default_factory=dict)


def data_file(root: Path) -> Path | None:
    """The YAML in ``root`` that lists classes and folders."""
    for path in sorted(path for path in root.iterdir() if path.suffix.lower() in (".yaml", ".yml") and path.is_file()):
        text, _ = read_text(path, root, LARGEST_YAML)
        if text and re.search(r"^names\s*:", text, re.MULTILINE) and re.search(r"^(train|val|nc)\s*:", text,
                                                                               re.MULTILINE):
            return path
    return None


def read_data_file(root: Path, problems: list[Problem]) -> DataFile:
    """Read the YAML, or else the ``classes.txt``, of ``root``; faults are added to ``problems``."""
    path = data_file(root)
    if path is None:
        return _class_list(root, problems)
    name = relative_name(path, root)
    text, problem = read_text(path, root, LARGEST_YAML)
    try:
        content = yaml.safe_load(text or "")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        position = getattr(error, "problem_mark", None)
        problems.append(Problem(f"is not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}", file=name,
                                line=position.line + 1 if position else None))
        return DataFile(name, {})
    problems += [problem] if problem else []
    content = content if isinstance(content, dict) else {}
    if "kpt_shape" in content:
        problems.append(Problem("describes keypoints (kpt_shape), which are not supported", file=name,
                                hint="export the data set with boxes or polygons"))
    names = _names(content, name, problems)
    return DataFile(name, names, _splits(content, root, name, problems))


def _class_list(root: Path, problems: list[Problem]) -> DataFile:
    path = next((path for path in (root / CLASSES, root / "labels" / CLASSES) if path.is_file()), None)
    if path is None:
        problems.append(Problem(f"there is no data.yaml and no {CLASSES} with the class names",
                                hint=f"write a {CLASSES} with one class per line, starting with number 0"))
        return DataFile(None, {})
    text, problem = read_text(path, root)
    problems += [problem] if problem else []
    listed = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return DataFile(relative_name(path, root), dict(enumerate(listed)))


def _names(content: dict[Any, Any], file: str, problems: list[Problem]) -> dict[int, str]:
    value = content.get("names")
    pairs = dict(enumerate(value)) if isinstance(value, list) else value if isinstance(value, dict) else {}
    names: dict[int, str] = {}
    for number, name in pairs.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            problems.append(Problem("names: the classes must be numbered 0, 1, 2, ...", file=file))
        elif isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name).strip():
            problems.append(Problem(f"names: YAML reads the name of class {number} as {type(name).__name__}, not text",
                                    file=file, hint="put the name in quotes"))
        elif str(name).strip() in names.values():
            problems.append(Problem(f"names: the class {str(name).strip()!r} is duplicated", file=file))
        else:
            names[number] = str(name).strip()
    if not pairs:
        problems.append(Problem("lists no classes: 'names' must be a list, or map numbers to names", file=file))
    count = content.get("nc")
    if isinstance(count, int) and pairs and count != len(pairs):
        problems.append(Problem(f"nc is {count}, but there are {len(pairs)} names", file=file))
    return dict(sorted(names.items()))


def _splits(content: dict[Any, Any], root: Path, file: str, problems: list[Problem]) -> dict[Split, list[Path]]:
    splits: dict[Split, list[Path]] = {}
    for split, keys in KEYS.items():
        key = next((key for key in keys if content.get(key)), None)
        value = content.get(key) if key else None
        for text in value if isinstance(value, list) else [value] if value else []:
            place = _place(root, content.get("path"), text) if isinstance(text, str) else None
            if place is None:
                problems.append(Problem(f"{key}: there is no folder or list {text[:200]!r} in the data set"
                                        if isinstance(text, str) else f"{key} must be the name of a folder or list",
                                        file=file))
            splits.setdefault(split, []).extend([place] if place else [])
    if splits.get("train") and splits.get("train") == splits.get("validation"):
        problems.append(Problem("train and val are the same images, so a new split is made", file=file,
                                severity="warning"))
        del splits["validation"]
    return splits


def _place(root: Path, base: Any, text: str) -> Path | None:
    """The longest suffix of the path that exists: its start may be of another machine."""
    whole = f"{base}/{text}" if isinstance(base, str) else text
    parts = [part for part in re.split(r"[\\/]+", whole) if part not in ("", ".", "..")]
    for first in range(len(parts)):
        place, _ = contained_path(root, "/".join(parts[first:]))
        if place is not None and place.exists():
            return place
    return None
