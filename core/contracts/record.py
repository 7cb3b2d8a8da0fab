"""What every record is: a name, a description and the paths of lazily imported builders.

Records are created when plugins are listed, so they are cheap: no heavy library is imported before
:meth:`Record.build`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from sightsmith.core.util.errors import PluginError, near

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_BUILDER = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Provider:
    """Where a plugin comes from: its entry point's name and its distribution."""

    plugin: str
    distribution: str
    version: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.plugin} ({self.distribution} {self.version})"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A name, a one-line description, and the path of its builder, ``"package.module:attribute"``.

    ``provider`` is the plugin that registered it; sightsmith sets it.

    Raises ValueError for an invalid name or builder.
    """

    name: str
    description: str
    builder: str
    provider: Provider | None = field(default=None, compare=False, repr=False)

    BUILDERS: ClassVar[tuple[str, ...]] = ("builder",)
    """The fields that name a builder."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} must be lower-case letters, digits, '_', '-' and '.'")
        for key in self.BUILDERS:
            if (builder := getattr(self, key)) is not None and not _BUILDER.fullmatch(builder):
                raise ValueError(f"the {key} {builder!r} of {self.name!r} must be 'package.module:attribute'")
        for entry in fields(self):
            if isinstance(value := getattr(self, entry.name), str) and str(entry.type).startswith("tuple["):
                raise ValueError(f"{entry.name} of {self.name!r} is the text {value!r}; it must be a tuple: "
                                 f"({value!r},)")

    @property
    def parts(self) -> list[Record]:
        """A record for each builder that this one names: itself, and one for each of the others."""
        return [self.part(key) for key in self.BUILDERS if getattr(self, key) is not None]

    def part(self, key: str) -> Record:
        """This record with the builder that its field ``key`` names."""
        return replace(self, builder=getattr(self, key))

    def build(self) -> Any:
        """Import the module and return the attribute that ``builder`` names.

        Raises PluginError if one of them does not exist; whatever the module itself raises, such as ModuleNotFoundError
        for a package that it needs, is passed on.
        """
        name, attribute = self.builder.split(":")
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
            raise self._broken(f"does not exist: there is no module {error.name!r}.{_near_module(error.name)}"
                               ) from error
        try:
            return getattr(module, attribute)
        except AttributeError as error:
            raise self._broken(f"does not exist: the module {name!r} has no {attribute!r}."
                               f"{near(attribute, dir(module))}") from error

    def make(self, *arguments: Any, **named: Any) -> Any:
        """Call the builder. Raises PluginError if it does not accept these arguments."""
        builder = self.build()
        try:
            signature = inspect.signature(builder)
        except ValueError:  # some functions written in C have none
            return builder(*arguments, **named)
        try:
            signature.bind(*arguments, **named)
        except TypeError as error:
            takes = signature.replace(return_annotation=signature.empty, parameters=[
                parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()])
            called = ", ".join([*(type(argument).__name__ for argument in arguments), *(f"{name}=" for name in named)])
            raise self._broken(f"takes {takes}, but is called with ({called}): {error}") from error
        return builder(*arguments, **named)

    def _broken(self, what: str) -> PluginError:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(self).__name__.removesuffix("Record")).lower()
        return PluginError(f"plugin {self.provider}: {kind} {self.name!r}: the builder {self.builder} {what}",
                           hint="report it to the plugin's author")


def _near_module(name: str) -> str:
    """The modules beside the missing ``name`` that are called much like it."""
    parent, dot, _ = name.rpartition(".")
    beside = pkgutil.iter_modules(getattr(sys.modules[parent], "__path__", ()) if parent else None)
    return near(name, [f"{parent}{dot}{module.name}" for module in beside])
