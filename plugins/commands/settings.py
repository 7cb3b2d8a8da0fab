"""Command arguments, declared as a dataclass: the source for parsing, validation and help.

    @dataclass(frozen=True)
    class Greeting:
        '''Greet somebody, several times.'''

        name: str = key("whom", metavar="NAME")
        times: int = key("how often", 1, low=1, high=10)
        json: bool = flag("print a JSON object")

``parse(Greeting, ["name=Ada", "--json"], record)`` returns ``Greeting("Ada", 1, True)``. Keys have the form
``key=value``, like those of ``train``; flags begin with ``--``; words are positional.
"""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
import typing
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal, TypeVar

from sightsmith.core.contracts.records import CommandRecord
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.files import typed_path

Settings = TypeVar("Settings")
Kind = Literal["key", "flag", "word", "overrides"]
Offers = Literal["", "runs", "files", "tasks", "networks", "network configs", "presets", "dataset_formats", "writers",
                 "export_formats"]
"""What completion offers for an argument, besides its choices."""
WIDTH = 100
"""Line width of the help."""
REQUIRED = ", required"


def key(help: str, default: Any = MISSING, *, name: str = "", metavar: str = "", low: float | None = None,
        high: float | None = None, choices: tuple[str, ...] = (), offers: Offers = "",
        elsewhere: tuple[str, ...] = ()) -> Any:
    """``key=value``; required without a ``default``. ``name`` is the key if it differs from the field's name;
    ``metavar`` stands for the value in the help, ``elsewhere`` are names that the key has in other programs."""
    return _declared("key", help, default, name=name, metavar=metavar, low=low, high=high, choices=choices,
                     offers=offers, elsewhere=elsewhere)


def flag(help: str, default: Any = False, *, metavar: str = "", offers: Offers = "") -> Any:
    """``--name``, or ``--name VALUE`` if the field is not a bool."""
    return _declared("flag", help, default, metavar=metavar, offers=offers)


def word(help: str, default: Any = MISSING, *, choices: tuple[str, ...] = ()) -> Any:
    """A positional argument, without ``=``."""
    return _declared("word", help, default, choices=choices)


def overrides(help: str) -> Any:
    """A ``list[str]`` of all ``key=value`` with undeclared keys: configuration overrides."""
    return dataclasses.field(default_factory=list, metadata={"kind": "overrides", "help": help})


def _declared(kind: Kind, help: str, default: Any, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"kind": kind, "help": help, **more})


@dataclass(frozen=True)
class Argument:
    """A declared argument. ``type`` is str, Path, int, float or bool; ``default`` is ``dataclasses.MISSING`` if it is
    required."""

    field: str
    kind: Kind
    name: str
    help: str
    type: type
    default: Any
    metavar: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    offers: Offers = ""
    elsewhere: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        return self.kind in ("key", "word") and self.default is MISSING

    @property
    def usage(self) -> str:
        """For usage lines: ``run=DIR``, ``--html FOLDER``."""
        value = self.metavar or "|".join(self.choices) or {bool: "true|false", int: "N", float: "X"}.get(
            self.type, "VALUE")
        if self.kind == "key":
            return f"{self.name}={value}"
        if self.kind == "word":
            return self.name.upper()
        return "KEY=VALUE" if self.kind == "overrides" else self.name if self.type is bool else f"{self.name} {value}"

    @property
    def details(self) -> str:
        """The help, with choices, range and default."""
        spans = [", ".join(self.choices)] if self.choices and self.kind == "word" else []
        if self.low is not None:
            spans.append(f"{self.low:g} to {self.high:g}")
        if self.kind == "key" and self.default not in (MISSING, None):
            spans.append(f"default {str(self.default).lower() if self.type is bool else self.default}")
        return self.help + (f" ({'; '.join(spans)})" if spans else "") + (REQUIRED if self.required else "")

    def converted(self, text: str) -> Any:
        """The value of ``text``. Raises ValueError with the reason if it is invalid."""
        if not text:
            raise ValueError("has an empty value")
        if self.choices and text not in self.choices:
            raise ValueError(f"is not one of {', '.join(self.choices)}.{near(text, self.choices)}")
        if self.type is bool:
            if text not in ("true", "false"):
                raise ValueError("is neither true nor false")
            return text == "true"
        if self.type in (int, float):
            return self._number(text)
        return typed_path(text) if self.type is Path else text

    def _number(self, text: str) -> float:
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        try:
            value: float = self.type(text)
        except ValueError:
            value = float("nan")
        if low <= value <= high:
            return value
        span = "" if self.low is None else f" from {self.low:g} to {self.high:g}"
        raise ValueError(f"is not a {'whole ' if self.type is int else ''}number{span}")


def declared(settings: type[Any]) -> list[Argument]:
    """The arguments that the dataclass ``settings`` declares, in order."""
    types = typing.get_type_hints(settings)
    found = []
    for entry in dataclasses.fields(settings):
        meta = dict(entry.metadata)
        kinds = [item for item in typing.get_args(types[entry.name]) if item is not type(None)]
        dashed = f"--{entry.name.replace('_', '-')}"
        name = meta.pop("name", "") or (dashed if meta["kind"] == "flag" else entry.name)
        found.append(Argument(entry.name, name=name, type=kinds[0] if kinds else types[entry.name],
                              default=entry.default, **meta))
    return found


def parse(settings: type[Settings], arguments: Sequence[str], record: CommandRecord) -> Settings:
    """Parse ``arguments`` into ``settings``. ``--help`` prints the help and exits.

    Raises UserError with all problems: unknown keys with near matches, missing keys, invalid values.
    """
    known = declared(settings)
    parser = _parser(settings, known, record)
    arguments, unknown = _without_unknown_flags(arguments, known)
    options = vars(parser.parse_intermixed_args(arguments))
    texts: list[str] = options.pop("arguments")
    keys = {item.name: item for item in known if item.kind == "key"}
    words = [item for item in known if item.kind == "word"]
    rest = next((item.field for item in known if item.kind == "overrides"), None)
    values = {name: value for name, value in options.items() if value is not None}
    problems = [problem for problem, _ in unknown]
    values |= {item.field: None for _, item in unknown if item}  # present, as a flag
    for text in texts:
        name, equals, value = text.partition("=")
        item = keys.get(name) if equals else words.pop(0) if words else None
        if item is not None:
            try:
                values[item.field] = item.converted(value if equals else text)
            except ValueError as error:
                problems.append(Problem(f"{text} {error}"))
                values[item.field] = None  # present, but invalid
        elif rest is not None:
            values.setdefault(rest, []).append(text)
        elif equals and (item := next((item for item in keys.values() if name in item.elsewhere), None)):
            problems.append(Problem(f"unknown key {name!r}. Here it is called {item.name!r}."))
            values[item.field] = None  # present, under another name
        elif equals:
            problems.append(Problem(f"unknown key {name!r}.{near(name, keys)}"))
        else:
            problems.append(Problem(f"{text!r} is not KEY=VALUE" if keys else f"unexpected argument {text!r}"))
    problems += [Problem(f"{item.usage} is required", hint=item.details.removesuffix(REQUIRED)) for item in known
                 if item.required and item.field not in values]
    if problems:
        one = f" {problems[0]}" if len(problems) == 1 else ""
        raise UserError(f"sightsmith {record.name}:{one}", problems=[] if one else problems,
                        hint=f"`sightsmith {record.name} --help` shows all arguments")
    return settings(**values)


def _without_unknown_flags(arguments: Sequence[str], known: Sequence[Argument],
                           ) -> tuple[list[str], list[tuple[Problem, Argument | None]]]:
    """``arguments`` without flags that the command does not have; a problem for each of them, and the key it means."""
    flags = [item.name for item in known if item.kind == "flag"] + ["--help", "-h"]
    kept: list[str] = []
    unknown: list[tuple[Problem, Argument | None]] = []
    rest = list(arguments)
    while rest:
        name, equals, value = (text := rest.pop(0)).partition("=")
        if not name.startswith("-") or any(flag.startswith(name) for flag in flags):
            kept.append(text)
            continue
        if not equals and rest and "=" not in rest[0] and not rest[0].startswith("-"):
            value = rest.pop(0)
        item = next((item for item in known if item.kind == "key"
                     and name.lstrip("-").replace("-", "_") in (item.name, *item.elsewhere)), None)
        unknown.append((Problem(f"unknown flag {name}.{near(name, flags)}"), None) if item is None else (
            Problem(f"unknown flag {name}", hint=f"keys have no dashes: type {item.name}={value or 'VALUE'}"), item))
    return kept, unknown


def _parser(settings: type[Any], known: Sequence[Argument], record: CommandRecord) -> argparse.ArgumentParser:
    known = sorted(known, key=lambda item: not item.required)
    short = [item.usage if item.required else f"[{item.usage}]" for item in known if item.kind in ("word", "flag")
             or item.required]
    if any(item.kind in ("key", "overrides") and not item.required for item in known):
        short.append("[KEY=VALUE ...]")
    rows = [(item.usage, item.details) for item in known if item.kind != "flag"]
    width = min(max((len(usage) for usage, _ in rows), default=0), 28)
    lines = [textwrap.fill(f"{usage:{width}}  {details}", WIDTH, initial_indent="  ",
                           subsequent_indent=" " * (width + 4)) for usage, details in rows]
    example = f"example: sightsmith {record.name} {record.example}".rstrip()
    parser = argparse.ArgumentParser(
        prog=f"sightsmith {record.name}", usage=f"sightsmith {record.name} {' '.join(short)}",
        description="\n".join([textwrap.fill(" ".join(cleandoc(settings.__doc__ or "").split()), WIDTH), "", *lines]),
        epilog=example, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    for item in known:
        if item.kind == "flag" and item.type is bool:
            parser.add_argument(item.name, action="store_true", dest=item.field, help=item.help)
        elif item.kind == "flag":
            parser.add_argument(item.name, dest=item.field, type=item.type, metavar=item.metavar or "VALUE",
                                help=item.help)
    return parser
