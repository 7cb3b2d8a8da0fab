"""What plugins register: a frozen record for each kind; networks and augmentations have modules of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sightsmith.core.contracts.annotation import ANNOTATION_ORDER, Annotation
from sightsmith.core.contracts.record import Record
from sightsmith.core.util.compression import GZIP, inflated
from sightsmith.core.util.errors import PluginError

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import DatasetIndex, Writer
    from sightsmith.core.contracts.image import ImageInfo
    from sightsmith.core.contracts.schema import TaskConfig

@dataclass(frozen=True, kw_only=True)
class TaskRecord(Record):
    """A task type. The builder is a subclass of :class:`sightsmith.core.contracts.task.Task`.

    ``score`` names the metric (higher is better) that selects the best checkpoint; ``annotation`` is the kind of
    annotation that it trains on: richer kinds are converted. ``sample`` is the builder of a function
    ``(folder: Path) -> None`` that writes the small embedded data set for ``dataset.root=sample``. ``settings`` is the
    builder of a dataclass, a subclass of :class:`~sightsmith.core.contracts.schema.TaskConfig`, whose further fields
    are the task's own keys, ``task.<field>``; the metadata of each is ``help`` and, where they apply, ``low``, ``high``
    and ``choices``. Its module imports no heavy library.
    """

    score: str
    annotation: Annotation
    sample: str | None = None
    settings: str | None = None

    BUILDERS: ClassVar[tuple[str, ...]] = ("builder", "sample", "settings")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kinds(self.name, [self.annotation])

    def build_settings(self) -> type[TaskConfig]:
        """The dataclass of the node ``task``. Raises PluginError unless it is a subclass of TaskConfig."""
        from sightsmith.core.contracts.schema import TaskConfig  # imports OmegaConf, which listing does not need

        if self.settings is None:
            return TaskConfig
        found = self.part("settings").build()
        if not (isinstance(found, type) and issubclass(found, TaskConfig)):
            raise PluginError(f"plugin {self.provider}: the settings {self.settings} of the task {self.name!r} are not "
                              "a subclass of TaskConfig", hint="report it to the plugin's author")
        return found


@dataclass(frozen=True, kw_only=True)
class DatasetFormatRecord(Record):
    """A dataset format. The builder is a class with the methods of
    :class:`sightsmith.core.contracts.dataset.DatasetFormat`.

    ``annotations`` are the kinds that it can read; a data set has at least one of them. ``layout`` describes the
    folder. ``writer``, for a format that can also be written, is the builder of a
    :data:`sightsmith.core.contracts.dataset.Writer`, and ``writer_check`` that of a function ``(index, infos)``, which
    raises UserError for images and classes that the format cannot hold: before anything is copied and, for predictions,
    before they are computed, so it must not look at the annotation. ``install`` is the command that installs what the
    writer imports.
    """

    annotations: tuple[Annotation, ...]
    layout: str
    writer: str | None = None
    writer_check: str | None = None
    install: str = ""

    BUILDERS: ClassVar[tuple[str, ...]] = ("builder", "writer", "writer_check")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kinds(self.name, self.annotations)

    def build_writer(self) -> Writer:
        """Import and return the function that ``writer`` names."""
        assert self.writer is not None
        found: Writer = self.part("writer").build()
        return found

    def check_writer(self, index: DatasetIndex, infos: Mapping[str, ImageInfo]) -> None:
        """Call the function that ``writer_check`` names, if there is one. Raises UserError."""
        if self.writer_check is not None:
            self.part("writer_check").build()(index, infos)


@dataclass(frozen=True, kw_only=True)
class LoggerRecord(Record):
    """A metric logger. The builder is a subclass of :class:`sightsmith.core.contracts.logger.MetricLogger`; ``options``
    are all keys ``logger.<name>.*`` with their defaults, whose type is that of the values (None: any), ``needs`` the
    required modules, and ``install`` the command that installs them."""

    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    install: str = ""


@dataclass(frozen=True, kw_only=True)
class RecipeRecord(Record):
    """A recipe. The builder is a pure function ``(config: Config, task: TaskRecord, network: NetworkRecord, data:
    DatasetStatistics, fixed: Collection[str]) -> Recommendation``; ``fixed`` are keys that it cannot change."""


@dataclass(frozen=True, kw_only=True)
class TunerRecord(Record):
    """A tuner. The builder is a subclass of :class:`sightsmith.engine.search.tuner.Tuner`.

    ``space`` maps configuration keys to their default sweeps, in Hydra's syntax (``"0.8,0.9"``,
    ``"tag(log,interval(1e-5,0.1))"``); ``trials`` is the default number of trials, None if the space determines it;
    ``options`` are the tuner's own settings with their defaults; ``overrides`` are default overrides of its runs.
    Without ``searches``, it only runs what you type.
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
    """A subcommand. The builder is a function ``(arguments: list[str], plugins: Plugins) -> int``: it gets the
    arguments after the command's name, prints its output, and returns the exit code. It raises UserError for invalid
    input, which is printed without a traceback, with exit code 2.

    ``description`` and ``usage``, the common arguments, are its line in ``sightsmith --help``; ``example`` has
    arguments for its own help. ``settings`` is the builder of the dataclass that declares its keys and flags, the
    source of shell completion and the command-line reference.
    """

    usage: str = ""
    example: str = ""
    settings: str | None = None

    BUILDERS: ClassVar[tuple[str, ...]] = ("builder", "settings")

    def build_settings(self) -> type[Any] | None:
        """The dataclass that declares the keys; None without one."""
        return self.part("settings").build() if self.settings else None


@dataclass(frozen=True, kw_only=True)
class ImageReaderRecord(Record):
    """An image file format that is not built in. The builder is called with a path and returns a
    :class:`sightsmith.core.contracts.image.Reader`, or raises
    :class:`sightsmith.core.contracts.image.ImageError`.

    A file has this format if its first 512 bytes match one of ``magic``, pairs (offset, bytes), or if its name ends
    with one of ``suffixes`` (lower case, with the dot). ``other_files`` are lower-case names of files that have the
    magic bytes but no image, such as an index. ``title`` is the format's display name. ``install`` is the command that
    installs the reader's packages. ``gzipped`` files, compressed as a whole, have the magic bytes inside.
    """

    title: str
    magic: tuple[tuple[int, bytes], ...] = ()
    suffixes: tuple[str, ...] = ()
    other_files: tuple[str, ...] = ()
    install: str = ""
    gzipped: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.magic and not self.suffixes:
            raise ValueError(f"the image reader {self.name!r} must have magic bytes or suffixes")

    def marks(self, head: bytes) -> bool:
        """Whether ``head``, the first 512 bytes of a file, has the magic bytes."""
        if self.gzipped and head.startswith(GZIP):
            head = inflated(head)
        return any(head[offset:].startswith(magic) for offset, magic in self.magic)


@dataclass(frozen=True, kw_only=True)
class ExportFormatRecord(Record):
    """A file format of exported models. The builder is a class, made without arguments, with the methods of
    :class:`sightsmith.core.contracts.exporter.ExportFormat`.

    ``file`` is the name of the model's file in the exported folder; ``needs`` are the required modules, and ``install``
    is the command that installs them.
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
    """A package, such as ``my_plugin.presets``, with presets as YAML files, also in subfolders."""

    package: str


@dataclass(frozen=True)
class Finding:
    """A result of ``sightsmith doctor``; ``advice`` says what to type if it is not ``ok``."""

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
