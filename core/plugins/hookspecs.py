"""The hooks of sightsmith, in the order in which they are called.

A plugin is a module with functions of these names, decorated with ``@hookimpl`` and listed in the entry-point
group ``sightsmith.plugins`` of its distribution::

    from sightsmith.plugin import NetworkRecord, hookimpl

    @hookimpl
    def sightsmith_networks():
        return [NetworkRecord(name="tiny", task="classification", ...)]

Every command imports a plugin's module: import heavy libraries only inside builders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from sightsmith.core.contracts.augmentation import AugmentationRecord
    from sightsmith.core.contracts.dataset import CheckedDataset
    from sightsmith.core.contracts.network_record import NetworkRecord
    from sightsmith.core.contracts.plan import Plan
    from sightsmith.core.contracts.records import (
        CommandRecord,
        ConfigPath,
        DatasetFormatRecord,
        ExportFormatRecord,
        Finding,
        ImageReaderRecord,
        LoggerRecord,
        PresetFolder,
        RecipeRecord,
        TaskRecord,
        TunerRecord,
    )

PROJECT = "sightsmith"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorates a plugin's function that implements a hook; the function has the hook's name."""

# Registration hooks: called once per process, on every rank, when plugins are loaded, and again if another plugin is
# found to be broken. sightsmith's own plugins come first, the others sorted by distribution and name; pluggy's
# ``tryfirst``, ``trylast`` and wrappers apply. A wrapper is called around each plugin's own implementation. A plugin is
# "broken" if it raises, returns a record of the wrong type, or registers a name that an earlier plugin has: it is shown
# with the cause, and nothing of it is used.


@hookspec
def sightsmith_config_paths() -> Iterable[ConfigPath]:  # type: ignore[empty-body]
    """Hydra search paths of the plugin, for its config groups.

    They come after the engine's own paths; a file that an earlier path has wins.
    Example: ``return [ConfigPath("pkg://my_plugin.conf")]``.
    """


@hookspec
def sightsmith_tasks() -> Iterable[TaskRecord]:  # type: ignore[empty-body]
    """Task types. A task also provides ``task/<name>.yaml`` on one of its config paths.

    The builder is imported on every rank when a run starts, and wherever a finished run is opened.

    Example: ``return [TaskRecord(name="keypoints", description="points in an image", score="pck", annotation="boxes",
    builder="my_plugin.task:KeypointTask")]``.
    """


@hookspec
def sightsmith_dataset_formats() -> Iterable[DatasetFormatRecord]:  # type: ignore[empty-body]
    """Dataset formats. ``dataset.format=auto`` picks the one that detects the folder with the highest confidence.

    The builder is called in the process that checks the data set, for ``detect`` and for ``read``. An exception, or an
    index that contradicts its samples, ends the command with an error that names the plugin.

    Example: ``return [DatasetFormatRecord(name="index_txt", description="a text file", annotations=("labels",),
    layout="index.txt with lines of: image label", builder="my_plugin.index_txt:IndexTxt")]``.
    """


@hookspec
def sightsmith_networks() -> Iterable[NetworkRecord]:  # type: ignore[empty-body]
    """Networks; each becomes an option of the config group ``network``.

    The builder is called on every rank when a run starts, and wherever a finished run is opened.

    Example: ``return [ModuleNetworkRecord(name="three_layers", description="three convolutions", family="plain",
    task="classification", parameters=23_938, input_size=32, builder="my_plugin.network:build")]``.
    """


@hookspec
def sightsmith_recipes() -> Iterable[RecipeRecord]:  # type: ignore[empty-body]
    """Recipes, which choose hyperparameters; each becomes an option of the config group ``recipe``. The builder is
    called on rank 0 once the data is checked; its values apply to the keys that are not set otherwise.

    Example: ``return [RecipeRecord(name="gentle", description="small steps", builder="my_plugin.recipe:gentle")]``.
    """


@hookspec
def sightsmith_tuners() -> Iterable[TunerRecord]:  # type: ignore[empty-body]
    """Tuners, which suggest the trials of a search; each becomes an option of the config group ``tuner``.

    The builder is called once per search, in the command-line process.

    Example: ``return [TunerRecord(name="halton", description="a low-discrepancy sequence", trials=16,
    space={"hyper.learning_rate": "tag(log,interval(1e-5,0.1))"}, builder="my_plugin.halton:Halton")]``.
    """


@hookspec
def sightsmith_loggers() -> Iterable[LoggerRecord]:  # type: ignore[empty-body]
    """Metric loggers; each becomes an option of the config group ``logger``.

    The builder is called on rank 0 when a run starts or resumes, for each logger that the user has chosen.

    Example: ``return [LoggerRecord(name="json_lines", description="a file", builder="my_plugin.lines:JsonLines")]``.
    """


@hookspec
def sightsmith_commands() -> Iterable[CommandRecord]:  # type: ignore[empty-body]
    """Subcommands of the command line: ``sightsmith NAME ...``.

    Called once in each process that loads plugins, on every rank, without arguments. The records of all plugins are
    combined, sightsmith's own first. None is not allowed: a plugin without commands omits the hook. A name that is
    already registered makes the later plugin broken, and the message names both; an exception makes it broken, too.

    ``sightsmith --help`` lists the records; the builder is imported only when its command is used. It is called once,
    in the command-line process, with the arguments after the command's name and the loaded plugins, and returns the
    exit code. A UserError is printed as text with exit code 2, any other exception as a traceback with exit code 1.

    Example::

        @hookimpl
        def sightsmith_commands():
            return [CommandRecord(name="hello", description="greet somebody", usage="NAME",
                                  builder="my_plugin.hello:hello")]

        # my_plugin/hello.py
        def hello(arguments, plugins):
            print("Hello,", *arguments)
            return 0
    """


@hookspec
def sightsmith_image_readers() -> Iterable[ImageReaderRecord]:  # type: ignore[empty-body]
    """Image file formats other than JPEG, PNG, TIFF, BMP, GIF, WebP, AVIF, JPEG 2000 and PNM, which are built in.

    Called once in each process that loads plugins, on every rank, without arguments. The records of all plugins are
    combined in plugin order; None is not allowed. A duplicate name or an exception makes the plugin broken.

    While a data set is checked, each file is matched against the readers in order: first by magic bytes, before the
    built-in formats, then by suffix. The builder of the first match is called with the path, in the process that
    checks and in every DataLoader worker that decodes the image. An ImageError, or any other exception, becomes a
    problem of that file; if a package that the reader imports is missing, one problem counts the files and shows
    ``install``. Dataset formats find the files of all readers in folders, by suffix or magic bytes.

    A reader with ``upright`` and ``part`` (``sightsmith.plugin.PartReader``) is asked for parts of an image only, or
    for all of it at reduced size.

    Example::

        @hookimpl
        def sightsmith_image_readers():
            return [ImageReaderRecord(name="fits", title="FITS", description="astronomy", magic=((0, b"SIMPLE  ="),),
                                      suffixes=(".fits",), builder="my_plugin.fits:FitsReader")]
    """


@hookspec
def sightsmith_export_formats() -> Iterable[ExportFormatRecord]:  # type: ignore[empty-body]
    """File formats of exported models: ``sightsmith export run=RUN format=NAME``.

    Called once in each process that loads plugins, on every rank, without arguments. The records of all plugins are
    combined; None is not allowed. A duplicate name or an exception makes the plugin broken.

    The builder is called once per export, in the command-line process. The engine has the format write a file, open it
    again and run it, compares the outputs with the model's own, and keeps the file only if outputs and score agree. An
    exception while writing or running means that the model cannot be exported; its text is the reason shown.

    Example::

        @hookimpl
        def sightsmith_export_formats():
            return [ExportFormatRecord(name="openvino", description="for Intel's runtime", file="model.xml",
                                       needs=("openvino",), install="pip install openvino",
                                       builder="my_plugin.openvino:OpenVino")]
    """


@hookspec
def sightsmith_augmentations() -> Iterable[AugmentationRecord]:  # type: ignore[empty-body]
    """Random changes of the training images, of every task or some: ``augment.extra.dim.probability=0.5``.

    Called once in each process that loads the plugins, on every rank, without arguments. The records of all plugins
    are combined; None is not allowed. A duplicate name or an exception makes the plugin broken.

    ``kind`` says what it changes: ``photometric`` values only; ``geometric`` returns a homography, by which sightsmith
    moves image, boxes, masks and maps; ``composing`` makes an ``AnnotatedImage`` of one and others, and is left out in
    the ``closing`` share of the last epochs. Each of the ``options`` is a key of the configuration; an unknown name or
    option, or a value out of range, is refused while it is composed. The builder is called with the options on every
    rank when a training starts; a UserError, ValueError or TypeError says that it cannot use them. What it returns is
    called in the DataLoader's workers, in training only, for each image in each epoch with the probability that the
    user gave. Its generator is seeded from the image's place and the epoch, so that a resumed run is bit for bit the
    same. An exception, or a result of another shape or type, ends the run with an error that names the plugin. A
    finished run is opened without it.

    Example::

        @hookimpl
        def sightsmith_augmentations():
            return [AugmentationRecord(name="dim", description="darker", builder="my_plugin.dim:Dim",
                                       options={"most": Option(0.5, "largest loss of light", low=0, high=1)})]

        # my_plugin/dim.py
        @dataclass
        class Dim:
            most: float

            def __call__(self, image, generator):
                return (image * (1 - generator.uniform(0, self.most))).astype(image.dtype)
    """


@hookspec
def sightsmith_presets() -> Iterable[PresetFolder]:  # type: ignore[empty-body]
    """Packages of presets; each file becomes an option of the config group ``preset``.

    Example: ``return [PresetFolder("my_plugin.presets")]``.
    """


# Diagnostics: called only by ``sightsmith doctor``, in the same order. An exception is shown as a failed finding.


@hookspec
def sightsmith_diagnostics() -> Iterable[Finding]:  # type: ignore[empty-body]
    """Check what the plugin depends on: a finding for each dependency, with advice where it is not ok. May import
    heavy libraries.

    Example: ``return [Finding("codec", "version 2", ok=False, advice="pip install 'codec>=3'")]``.
    """


# Lifecycle hooks: called on rank 0 only (sightsmith_dataset_checked: in the process that checks), in the same order.
# Results are ignored. An exception stops the run with status `error`; in sightsmith_after_run it becomes a warning of
# the finished run, and in sightsmith_on_run_error it is logged next to the error that ended the run.


@hookspec
def sightsmith_dataset_checked(dataset: CheckedDataset) -> None:
    """The data set has been read and checked; errors in ``dataset.problems`` stop the run next."""


@hookspec
def sightsmith_before_run(plan: Plan, run_dir: Path) -> None:
    """The plan has been printed; training starts next. Not called with ``trainer.dry_run=true``."""


@hookspec
def sightsmith_after_epoch(run_dir: Path, epoch: int, metrics: Mapping[str, float | None]) -> None:
    """An epoch (counted from 1) has been trained and validated; its checkpoint may not be written yet."""


@hookspec
def sightsmith_after_run(run_dir: Path, metrics: Mapping[str, float | None]) -> None:
    """The run is finished: model bundle and report are written. ``metrics`` are those of the best checkpoint.

    Every plugin is called, even if an earlier one fails; a wrapper is called around each.
    """


@hookspec
def sightsmith_on_run_error(run_dir: Path, error: BaseException) -> None:
    """The run ended with ``error``: status `error`, or `stopped` for a KeyboardInterrupt."""
