"""YOLO's ``data.yaml``: the names of the classes and the images of each split."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sightsmith.plugin import (
    Problem,
    Split,
    files_in,
    is_there,
    read_head,
    read_integer,
    read_text,
    read_yaml,
    relative_name,
)

CLASSES = "classes.txt"
CLASS_LISTS = (CLASSES, "obj.names", "names.txt")
LARGEST_YAML = 2**20
KEYS: dict[Split, tuple[str, ...]] = {"train": ("train",), "validation": ("val", "valid", "validation"),
                                      "test": ("test",)}


@dataclass(frozen=True)
class DataFile:
    """Classes by number, and the folders or lists of images per split, if the file has any."""

    file: str | None
    names: dict[int, str]
    splits: dict[Split, list[Path]] = field(default_factory=dict)


def data_file(root: Path, least: int = 2) -> Path | None:
    """The YAML in ``root`` that lists classes and folders, of whose keys it has at ``least`` so many, or Darknet's
    ``obj.data``."""
    for path in files_in(root):
        if path.suffix.lower() in (".yaml", ".yml"):
            text, _ = read_text(path, root, LARGEST_YAML)
            keys = set(re.findall(r"^(names|train|val|nc)\s*:", text or "", re.MULTILINE))
            if len(keys) >= least and keys & {"names", "nc"}:
                return path
    return next((path for path in files_in(root) if path.suffix.lower() == ".data"
                 and re.search(r"^\s*names\s*=", read_head(path, root), re.MULTILINE)), None)


def class_list(root: Path) -> Path | None:
    """The file with the name of a class in each line."""
    return next((path for name in CLASS_LISTS for path in (root / name, root / "labels" / name)
                 if path.is_file()), None)


def read_data_file(root: Path, problems: list[Problem]) -> DataFile:
    """Read the YAML, Darknet's file, or else the ``classes.txt``, of ``root``; faults are added to ``problems``."""
    path = data_file(root)
    beside = class_list(root)
    if path is None and beside is None:
        path = data_file(root, least=1)
    if path is None:
        return _class_list(beside, root, problems)
    name = relative_name(path, root)
    if path.suffix.lower() == ".data":
        text, problem = read_text(path, root, LARGEST_YAML)
        problems += [problem] if problem else []
        content = dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", text or "", re.MULTILINE))
        names = _class_list(_place(root, None, content["names"]), root, problems)
        return replace(names, splits=_splits(content, root, name, problems))
    found, problem = read_yaml(path, root, LARGEST_YAML)
    if problem is not None:
        problems.append(problem)
        return DataFile(name, {})
    content = found if isinstance(found, dict) else {}
    if "kpt_shape" in content:
        problems.append(Problem("describes keypoints (kpt_shape), which are not supported", file=name,
                                hint="export the data set with boxes or polygons"))
    names = _class_list(beside, root, problems) if beside and "names" not in content else \
        DataFile(name, _names(content, name, problems))
    return replace(names, splits=_splits(content, root, name, problems))


def _class_list(path: Path | None, root: Path, problems: list[Problem]) -> DataFile:
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
    for key, name in pairs.items():
        number = read_integer(key)
        if number is None or number < 0 or number in names:
            problems.append(Problem("names: the classes must be numbered 0, 1, 2, ...", file=file))
        elif isinstance(name, bool) or not isinstance(name, (str, int)) or not str(name).strip():
            problems.append(Problem(f"names: YAML reads the name of class {number} as {type(name).__name__}, not text",
                                    file=file, hint="put the name in quotes"))
            names[number] = str(name).strip() or str(number)  # its objects are no problems of their own
        elif str(name).strip() in names.values():
            problems.append(Problem(f"names: the class {str(name).strip()!r} is duplicated", file=file))
            names[number] = str(name).strip()
        else:
            names[number] = str(name).strip()
    if not pairs:
        problems.append(Problem("has no 'names': they must be a list, or map numbers to names" if value is None else
                                "'names' must be a list of classes, or map numbers to names", file=file))
    count = read_integer(content.get("nc"))
    if count is not None and pairs and count != len(pairs):
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
        place = root.joinpath(*parts[first:])
        if is_there(place, root):
            return place
    return None
