"""What plugins hand to the engine: frozen records, each with a lazily resolved builder.

A record is created when a plugin is listed, so it costs nothing: no heavy library is imported until
:meth:`Record.build` is called.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.annotation import ANNOTATION_ORDER, Annotation
from sightsmith.core.util.errors import PluginError, UserError, near

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import Writer
    from sightsmith.core.contracts.schema import TaskConfig

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
    """A name, one line about it, and where its builder is (``"package.module:attribute"``).

    ``provider`` is the plugin that registered it, which sightsmith fills in.

    Raises ValueError for a name or a builder that is not of the stated form: names are refused,
    never repaired.
    """

    name: str
    description: str
    builder: str
    provider: Provider | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} must be lower-case letters, digits, '_', '-' and '.'")
        if not _BUILDER.fullmatch(self.builder):
            raise ValueError(f"the builder {self.builder!r} of {self.name!r} must read 'package.module:attribute'")

    def build(self) -> Any:
        """Import the module and return the attribute that ``builder`` names."""
        return pkgutil.resolve_name(self.builder)

    def make(self, *arguments: Any, **named: Any) -> Any:
        """What the builder returns for these arguments. Raises PluginError where it does not take them."""
        builder = self.build()
        try:
            signature = inspect.signature(builder)
        except ValueError:  # some functions written in C have none
            return builder(*arguments, **named)
        try:
            signature.bind(*arguments, **named)
        except TypeError as error:
            kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(self).__name__.removesuffix("Record")).lower()
            takes = signature.replace(return_annotation=signature.empty, parameters=[
                parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()])
            called = ", ".join([*(type(argument).__name__ for argument in arguments), *(f"{name}=" for name in named)])
            raise PluginError(
                f"plugin {self.provider}: {kind} {self.name!r}: the builder {self.builder} takes {takes}, "
                f"and is called with ({called}): {error}",
                hint="report it to the plugin's author") from error
        return builder(*arguments, **named)


@dataclass(frozen=True, kw_only=True)
class TaskRecord(Record):
    """A task type. The builder is a subclass of :class:`sightsmith.core.contracts.task.Task`.

    ``score`` names the metric (higher is better) that chooses the best checkpoint; ``annotation`` the kind
    of annotation that it trains on: richer ones are converted to it. ``sample`` is the builder of a
    function ``(folder: Path) -> None`` that writes the small embedded data set which
    ``dataset.root=sample`` stands for. ``settings`` is the builder of a dataclass, a subclass of
    :class:`sightsmith.core.contracts.schema.TaskConfig`, whose further fields are the task's own keys,
    ``task.<field>``; the metadata of each is ``help`` and, where they apply, ``low``, ``high`` and ``choices``. Its
    module imports no heavy library.
    """

    score: str
    annotation: Annotation
    sample: str | None = None
    settings: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kinds(self.name, [self.annotation])

    def build_settings(self) -> type[TaskConfig]:
        """The dataclass of the node ``task``. Raises PluginError for one that is no subclass of TaskConfig."""
        from sightsmith.core.contracts.schema import TaskConfig  # imports OmegaConf, which listing needs not

        if self.settings is None:
            return TaskConfig
        found = replace(self, builder=self.settings).build()
        if not (isinstance(found, type) and issubclass(found, TaskConfig)):
            raise PluginError(f"plugin {self.provider}: the settings {self.settings} of the task {self.name!r} are no "
                              "subclass of TaskConfig", hint="report it to the plugin's author")
        return found


@dataclass(frozen=True, kw_only=True)
class DatasetFormatRecord(Record):
    """A dataset format. The builder is a class with the methods of
    :class:`sightsmith.core.contracts.dataset.DatasetFormat`.

    ``annotations`` says what it can read; a data set of this format has one or more of these kinds.
    ``layout`` shows what the folder looks like. ``writer``, where the format can also be written, is the builder of a
    :data:`sightsmith.core.contracts.dataset.Writer`.
    """

    annotations: tuple[Annotation, ...]
    layout: str
    writer: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kinds(self.name, self.annotations)
        if self.writer is not None and not _BUILDER.fullmatch(self.writer):
            raise ValueError(f"the writer {self.writer!r} of {self.name!r} must read 'package.module:attribute'")

    def build_writer(self) -> Writer:
        """Import and return the function that ``writer`` names."""
        assert self.writer is not None
        found: Writer = replace(self, builder=self.writer).build()
        return found


@dataclass(frozen=True)
class Score:
    """A published score: ``Score("box AP", 40.9, "COCO", "mmdet metafile")``; ``value`` is in percent.

    Those with the same ``metric`` and ``dataset`` can be compared; ``source`` says where it was published.
    """

    metric: str
    value: float
    dataset: str
    source: str

    def __str__(self) -> str:
        return f"{self.metric} {self.value}"

    @property
    def benchmark(self) -> str:
        return f"{self.metric} on {self.dataset}"


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(Record):
    """A network. What its builder is called with is the task's business, which states it as a protocol, such as
    :class:`sightsmith.plugins.classification.model.ClassifierBuilder`.

    ``parameters`` is the number of parameters at the published number of classes; ``score`` the published
    score; ``gflops`` per image; ``speed`` a published time with its hardware, as text; ``input_size`` in pixels
    (height and width), ``min_size`` the smallest that is known to work (None: that is ``input_size``);
    ``weights`` names the published weights.
    ``annotation`` is the kind that it trains on where that is not the task's. A record that stands for
    a whole zoo has in ``zoo`` the builder of a function ``() -> Iterable[ZooNetwork]`` that imports no heavy library;
    ``network.config`` chooses one.
    """

    task: str
    family: str
    parameters: int
    input_size: int
    min_size: int | None = None
    score: Score | None = None
    gflops: float | None = None
    speed: str = ""
    weights: str = ""
    licence: str = ""
    annotation: Annotation | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    zoo: str | None = None

    @cached_property
    def zoo_networks(self) -> dict[str, ZooNetwork]:
        """By name, what ``network.config`` may be; nothing where the record is one network."""
        return {entry.name: entry for entry in replace(self, builder=self.zoo).make()} if self.zoo else {}

    def annotation_of(self, config: str | None) -> Annotation | None:
        """The annotation that the network learns from with ``network.config=config``; None for the task's.

        Raises UserError where ``config`` must be given, must not be, or is not a trainable one of the zoo.
        """
        if self.zoo is None:
            if config is not None:
                raise UserError(f"network.config={config}: network={self.name} is one network, not a zoo",
                                hint="leave network.config out, or choose a network whose name stands for a zoo")
            return self.annotation
        known = self.zoo_networks
        hint = f"`sightsmith list networks --task {self.task}` shows all {len(known)}"
        if config is None:
            example = next(name for name, entry in known.items() if entry.trainable)
            raise UserError(f"network={self.name} stands for a zoo: network.config must say which of its networks",
                            hint=f"for example network.config={example}; {hint}")
        if config not in known:
            raise UserError(f"network.config={config}: there is no such network.{near(config, list(known))}", hint=hint)
        if known[config].trainable is False:
            raise UserError(f"network.config={config} cannot be trained here: {known[config].reason}", hint=hint)
        return known[config].annotation


@dataclass(frozen=True)
class ZooNetwork:
    """One network of a zoo; ``reason`` says why one is not ``trainable``. None: nobody has tried."""

    name: str
    annotation: Annotation | None = None
    trainable: bool | None = True
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LoggerRecord(Record):
    """A metrics logger. The builder is a :class:`sightsmith.core.contracts.logger.LoggerBuilder`."""


@dataclass(frozen=True, kw_only=True)
class TunerRecord(Record):
    """A tuner. The builder is a subclass of :class:`sightsmith.core.contracts.tuner.Tuner`.

    ``space`` maps keys of the configuration to what they go through where nothing else is typed, as Hydra's sweeps are
    (``"0.8,0.9"``, ``"tag(log,interval(1e-5,0.1))"``); ``trials`` is the usual number of runs, None where the space
    says it; ``options`` are the tuner's own settings with their usual values, ``overrides`` what its runs are started
    with unless it is typed. One that does not ``searches`` makes the typed runs and no more.
    """

    space: Mapping[str, str] = field(default_factory=dict)
    trials: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    searches: bool = True

    def node(self) -> dict[str, Any]:
        """The option of Hydra's group ``tuner``, for the package ``_global_``."""
        mode = {"hydra": {"mode": "MULTIRUN"}} if self.searches else {}
        return {"tuner": {"name": self.name, "trials": self.trials, "space": dict(self.space),
                          "options": dict(self.options)}, **mode}


@dataclass(frozen=True, kw_only=True)
class CommandRecord(Record):
    """A verb of the command line. The builder is a function ``(arguments: list[str], plugins: Plugins) -> int``: it
    gets what follows the verb, prints for people, and returns the exit code. It raises UserError for the user's
    mistakes, which are printed without a trace and end with exit code 2.

    ``description`` and ``usage``, the usual arguments, are its line in ``sightsmith --help``; ``example`` holds
    arguments for its own help. ``settings``, where given, is the builder of the dataclass that declares its keys and
    flags; completion and the reference of the command line are made from it.
    """

    usage: str = ""
    example: str = ""
    settings: str | None = None

    def build_settings(self) -> type[Any] | None:
        """The dataclass that declares the keys; None where the command declares none."""
        return replace(self, builder=self.settings).build() if self.settings else None


@dataclass(frozen=True, kw_only=True)
class ImageReaderRecord(Record):
    """A format of image files beside JPEG, PNG, TIFF and BMP. The builder is called with a path and returns a
    :class:`sightsmith.core.contracts.image.Reader`, or raises
    :class:`sightsmith.core.contracts.image.ImageError`.

    A file is of this format where one of ``magic``, pairs (offset, bytes) in its first 512 bytes, is there, or where
    its name ends in one of ``suffixes`` (lower case, with the dot). ``title`` is the format's name for people.
    ``install`` is what to type where a package of the reader is missing.
    """

    title: str
    magic: tuple[tuple[int, bytes], ...] = ()
    suffixes: tuple[str, ...] = ()
    install: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.magic and not self.suffixes:
            raise ValueError(f"the image reader {self.name!r} must state magic bytes or suffixes of its files")

    def marks(self, head: bytes) -> bool:
        """Whether the first 512 bytes of a file have one of the magic marks."""
        return any(head[offset:].startswith(mark) for offset, mark in self.magic)


@dataclass(frozen=True, kw_only=True)
class ExportFormatRecord(Record):
    """A file format of exported models. The builder is a class, made without arguments, with the methods of
    :class:`sightsmith.core.contracts.exporter.ExportFormat`.

    ``file`` is the name of the model's file in the exported folder; ``needs`` the modules that have to be installed,
    and ``install`` what to type where one is missing.
    """

    file: str
    needs: tuple[str, ...] = ()
    install: str = ""


@dataclass(frozen=True)
class ConfigPath:
    """A Hydra search path of a plugin, such as ``pkg://my_plugin.conf``."""

    path: str


@dataclass(frozen=True)
class PresetFolder:
    """A package of a plugin, such as ``my_plugin.presets``, that holds presets as YAML files, also in folders."""

    package: str


@dataclass(frozen=True)
class Finding:
    """One thing that ``sightsmith doctor`` looked at; ``advice`` says what to type where it is not ``ok``."""

    topic: str
    text: str
    ok: bool = True
    advice: str = ""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def _check_kinds(name: str, kinds: Iterable[str]) -> None:
    for kind in kinds:
        if kind not in ANNOTATION_ORDER:
            raise ValueError(f"the annotation {kind!r} of {name!r} must be one of {', '.join(ANNOTATION_ORDER)}")
