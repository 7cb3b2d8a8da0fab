"""Small files that others may have changed: every damage is a UserError of one sentence that names the file.

Such a file is a regular one of UTF-8 text, not larger than :data:`LARGEST`. A key that is given twice is an error with
its line; in YAML, so are aliases, with which a short file can make a large value, and tags, which name types.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import yaml

from sightsmith.core.util.errors import UserError

LARGEST = 64 * 2**20
"""Bytes."""
Kind = type | UnionType


class Damaged(UserError):
    """A file that cannot be used; the message says why."""

    def __init__(self, path: object, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{path} is damaged: {reason}", hint=hint)


def read_text(path: Path, hint: str | None = None) -> str:
    """The text of ``path``. Raises UserError, with ``hint``, if it is missing, and :class:`Damaged`."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise Damaged(path, f"it is {'a folder' if stat.S_ISDIR(found.st_mode) else 'not a regular file'}", hint)
        if found.st_size > LARGEST:
            raise Damaged(path, f"it has {found.st_size / 2**20:.0f} MiB, and at most {LARGEST >> 20} are read", hint)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing", hint=hint) from error
    except UnicodeDecodeError as error:
        raise Damaged(path, f"it is not UTF-8 text (byte {error.start})", hint) from error
    except OSError as error:
        raise Damaged(path, f"it cannot be read: {error.strerror or error}", hint) from error
    except RuntimeError as error:  # a loop of links, up to Python 3.12
        raise Damaged(path, str(error), hint) from error


def read_json(path: Path, kinds: Mapping[str, Kind] | None = None, hint: str | None = None) -> Any:
    """The content of the JSON file ``path``, an object with the ``kinds`` of :func:`validate_fields` if given."""
    return _checked(path, parse_json, kinds, hint)


def read_yaml(path: Path, kinds: Mapping[str, Kind] | None = None, hint: str | None = None) -> Any:
    """Like :func:`read_json` for a YAML file."""
    return _checked(path, parse_yaml, kinds, hint)


def _checked(path: Path, parse: Callable[[str], Any], kinds: Mapping[str, Kind] | None, hint: str | None) -> Any:
    text = read_text(path, hint)
    try:
        content = parse(text)
        if kinds is not None:
            validate_fields(content, kinds)
    except ValueError as error:
        raise Damaged(path, str(error), hint) from error
    return content


def validate_fields(content: Any, kinds: Mapping[str, Kind]) -> None:
    """Raises ValueError unless ``content`` is a mapping that has each key of ``kinds``, with a value of its kind; one
    that may be None may also be missing. True and false are of no kind but bool."""
    if not isinstance(content, dict):
        raise ValueError(f"it is {_named(content)}, not a mapping")
    for key, kind in kinds.items():
        value = content.get(key)
        if key not in content and not isinstance(None, kind):
            raise ValueError(f"it has no {key}")
        if not isinstance(value, kind) or isinstance(value, bool) and bool not in (kind, *get_args(kind)):
            raise ValueError(f"{key} is {_named(value)}")


class ParseError(ValueError):
    """Text that cannot be read: the ``reason``, and its ``line`` if that is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        self.reason, self.line = reason, line
        super().__init__(reason if line is None else f"line {line}: {reason}")


def parse_json(text: str) -> Any:
    """Raises ParseError for anything but JSON, and for a key that an object has twice."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg}", error.lineno) from error
    except _Doubled as doubled:
        raise ParseError(str(doubled), _line_of_second(text, doubled.key)) from doubled
    except RecursionError as error:
        raise ParseError("it is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise ParseError(str(error)) from error


class _Doubled(ValueError):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the key {key[:40]!r} is given twice")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Doubled(next(name for place, name in enumerate(names) if name in names[:place]))
    return found


def _line_of_second(text: str, key: str) -> int | None:
    """Where, if the file has this key in one object only."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if f"{json.dumps(key)}:" in line]
    return lines[1] if len(lines) == 2 else None


PLAIN = tuple(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge"))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C loader is five times as fast, where PyYAML has it."""

    tags: tuple[str, ...] = PLAIN

    def get_single_node(self) -> yaml.Node | None:
        root: yaml.Node | None = super().get_single_node()
        seen, waiting = set(), [] if root is None else [root]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                raise _at(node, "a value that an alias (*) repeats; write it out where it is needed")
            seen.add(id(node))
            if node.tag not in self.tags:
                kind = node.tag.removeprefix("tag:yaml.org,2002:")
                raise _at(node, f"a value of the type {kind}; if it is text, quote it")
            if isinstance(node, yaml.MappingNode):
                _validate_keys([key for key, _ in node.value])
                waiting += [part for pair in node.value for part in pair]
            elif isinstance(node, yaml.SequenceNode):
                waiting += node.value
        return root


def _validate_keys(keys: Sequence[yaml.Node]) -> None:
    seen = set()
    for key in keys:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise _at(key, f"the key {key.value!r} is given twice")
            seen.add((key.tag, key.value))


def _at(node: yaml.Node, reason: str) -> ParseError:
    return ParseError(reason, node.start_mark.line + 1)


class _DatesToo(_Loader):
    tags = (*PLAIN, "tag:yaml.org,2002:timestamp")


def parse_yaml(text: str, *, dates: bool = False) -> Any:
    """Raises ParseError for anything but YAML of plain values; ``dates`` are plain if asked for."""
    try:
        return yaml.load(text, Loader=_DatesToo if dates else _Loader)
    except yaml.MarkedYAMLError as error:
        raise ParseError(f"not YAML: {error.problem}", error.problem_mark and error.problem_mark.line + 1) from error
    except yaml.YAMLError as error:
        raise ParseError(f"not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise ParseError("it is nested too deeply") from error


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(value: Any) -> str:
    """``value`` as YAML that :func:`parse_yaml` reads."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def _named(value: Any) -> str:
    names: dict[type, str] = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list",
                              dict: "a mapping", type(None): "empty"}
    return names.get(type(value), type(value).__name__)
