"""The hooks of sightsmith, in the order in which they are called.

A plugin is a module with functions of these names, marked ``@hookimpl``, named in the entry-point
group ``sightsmith.plugins`` of its distribution::

    from sightsmith.core.plugins.hookspecs import hookimpl
    from sightsmith.core.contracts.records import NetworkRecord

    @hookimpl
    def sightsmith_networks():
        return [NetworkRecord(name="tiny", task="classification", ...)]

A plugin's module is imported by every command: import heavy libraries inside builders only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    from sightsmith.core.contracts.augmentation import AugmentationRecord
    from sightsmith.core.contracts.dataset import CheckedDataset
    from sightsmith.core.contracts.plan import Plan
    from sightsmith.core.contracts.records import (
        CommandRecord,
        ConfigPath,
        DatasetFormatRecord,
        ExportFormatRecord,
        Finding,
        ImageReaderRecord,
        LoggerRecord,
        NetworkRecord,
        PresetFolder,
        TaskRecord,
        TunerRecord,
    )

PROJECT = "sightsmith"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorator of a plugin's functions that implement a hook; the function has the hook's name."""

# Registration: called when the plugins are loaded, once for each process, on every rank; again where another plugin
# turns out to be broken. sightsmith's own plugins come first, then by distribution and name; pluggy's ``tryfirst``,
# ``trylast`` and wrappers apply. A wrapper is called around each plugin's own implementation. An exception, a record
# that is not of the stated type, or a name that another plugin has already registered makes the plugin (the later
# one, for a name) "broken": it is listed with the cause and none of it is used.


@hookspec
def sightsmith_config_paths() -> Iterable[ConfigPath]:  # type: ignore[empty-body]
    """Hydra search paths of the plugin, for its config groups.

    They come after the engine's own paths; a file that another path already has is not replaced.
    Example: ``return [ConfigPath("pkg://my_plugin.conf")]``.
    """


@hookspec
def sightsmith_tasks() -> Iterable[TaskRecord]:  # type: ignore[empty-body]
    """Task types. A task also brings ``task/<name>.yaml`` on one of its config paths."""


@hookspec
def sightsmith_dataset_formats() -> Iterable[DatasetFormatRecord]:  # type: ignore[empty-body]
    """Dataset formats. ``dataset.format=auto`` takes the loader that is surest of the folder."""


@hookspec
def sightsmith_networks() -> Iterable[NetworkRecord]:  # type: ignore[empty-body]
    """Networks; each becomes an option of the config group ``network``."""


@hookspec
def sightsmith_tuners() -> Iterable[TunerRecord]:  # type: ignore[empty-body]
    """Tuners, which decide on the runs of a search; each becomes an option of the config group ``tuner``."""


@hookspec
def sightsmith_loggers() -> Iterable[LoggerRecord]:  # type: ignore[empty-body]
    """Metric loggers; each becomes an option of the config group ``logger``."""


@hookspec
def sightsmith_commands() -> Iterable[CommandRecord]:  # type: ignore[empty-body]
    """Verbs of the command line: ``sightsmith NAME ...``.

    Called once in each process that loads the plugins, on every rank, without arguments. The records of all plugins
    are put together, sightsmith's own first; None is not allowed: a plugin without verbs leaves the hook out. A name
    that another plugin has already registered makes the later plugin broken, and the message names both. An exception
    makes the plugin broken, too.

    ``sightsmith --help`` lists the records; the builder is imported only when its verb is typed. It is called once, in
    the process of the command line, with the arguments after the verb and the loaded plugins, and returns the exit
    code. UserError becomes its text and exit code 2, any other exception a trace and exit code 1.

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
    """Formats of image files beside JPEG, PNG, TIFF and BMP, which are built in.

    Called once in each process that loads the plugins, on every rank, without arguments. The records of all plugins
    are put together in the order of the plugins; None is not allowed. A name that is taken, or an exception, makes
    the plugin broken.

    Each file is offered to the readers in their order while the data set is checked: first by magic bytes, before the
    built-in formats are tried, then by suffix. The builder of the first that matches is called with the path, in the
    process that checks, and in every DataLoader worker that decodes the image. An ImageError, and any other exception,
    becomes a problem of that file; where a package of the reader's module is missing, the problem shows ``install``.
    Dataset formats that look through folders know DICOM's and the built-in suffixes: other images have to be named by
    an annotation file, or by ``sightsmith predict input=``.

    Example::

        @hookimpl
        def sightsmith_image_readers():
            return [ImageReaderRecord(name="fits", title="FITS", description="astronomy", magic=((0, b"SIMPLE  ="),),
                                      suffixes=(".fits",), builder="my_plugin.fits:FitsReader")]
    """


@hookspec
def sightsmith_export_formats() -> Iterable[ExportFormatRecord]:  # type: ignore[empty-body]
    """File formats of exported models: ``sightsmith export run=DIR format=NAME``.

    Called once in each process that loads the plugins, on every rank, without arguments. The records of all plugins
    are put together; None is not allowed. A name that is taken, or an exception, makes the plugin broken.

    The builder is used by one export at a time, in the process of the command line. The engine has it write a file,
    open the file again and run it, compares the outputs with the model's own, and keeps the file only where outputs
    and score agree. An exception while writing or running means that the model cannot be exported: its text becomes
    the reason.

    Example::

        @hookimpl
        def sightsmith_export_formats():
            return [ExportFormatRecord(name="openvino", description="for Intel's runtime", file="model.xml",
                                       needs=("openvino",), install="pip install openvino",
                                       builder="my_plugin.openvino:OpenVino")]
    """


@hookspec
def sightsmith_augmentations() -> Iterable[AugmentationRecord]:  # type: ignore[empty-body]
    """Random changes of the training images' values: ``'+augment.extra.gamma={low: 0.7, high: 1.5}'``.

    Called once in each process that loads the plugins, on every rank, without arguments. The records of all plugins
    are put together; None is not allowed. A name that is taken, or an exception, makes the plugin broken.

    An augmentation is photometric: it moves nothing, so that boxes and masks stay where they are. A name or an option
    that no record has is refused while the configuration is composed. The builder is called on every rank when a
    training starts, with the record's options and over them the user's; a UserError, ValueError or TypeError says
    that it cannot use them. What it returns is called in the DataLoader's workers, in training only, for each image in
    each epoch, after the built-in augmentation and in the order of ``augment.extra``. Its generator is seeded from the
    image's place and the epoch, so that a resumed run is bit for bit the same. An exception, or a result of another
    shape or dtype, ends the run with an error that names the plugin. A finished run is opened without it.

    Example::

        @hookimpl
        def sightsmith_augmentations():
            return [AugmentationRecord(name="gamma", description="random gamma curve", builder="my_plugin.gamma:Gamma",
                                       options={"low": 0.8, "high": 1.25})]

        # my_plugin/gamma.py
        class Gamma:
            def __init__(self, low, high):
                self.low, self.high = low, high

            def __call__(self, image, generator):
                curved = (image / 255 if image.dtype == "uint8" else image) ** generator.uniform(self.low, self.high)
                return (255 * curved).round().astype("uint8") if image.dtype == "uint8" else curved.astype("float32")
    """


@hookspec
def sightsmith_presets() -> Iterable[PresetFolder]:  # type: ignore[empty-body]
    """Packages of presets; each file becomes an option of the config group ``preset``.

    Example: ``return [PresetFolder("my_plugin.presets")]``.
    """


# Diagnostics: called by ``sightsmith doctor`` alone, in the same order. What a plugin raises is shown as a finding that
# is not ok.


@hookspec
def sightsmith_diagnostics() -> Iterable[Finding]:  # type: ignore[empty-body]
    """What the plugin depends on: a finding for each thing that can be otherwise, with what to type where it is not
    ok. May import heavy libraries.

    Example: ``return [Finding("codec", "version 2", ok=False, advice="pip install 'codec>=3'")]``.
    """


# Lifecycle: called on rank 0 only (sightsmith_dataset_checked: in the process that checks), in the same order. The
# results are ignored. An exception stops the run with status `error`; one in sightsmith_after_run is a warning of the
# run, which is finished, and one in sightsmith_on_run_error is logged beside the error that the run ended with.


@hookspec
def sightsmith_dataset_checked(dataset: CheckedDataset) -> None:
    """The data set was read and checked; ``dataset.problems`` may hold errors, which stop the run next."""


@hookspec
def sightsmith_before_run(plan: Plan, run_dir: Path) -> None:
    """The plan is made and printed; training starts next. Not called for ``trainer.dry_run=true``."""


@hookspec
def sightsmith_after_epoch(run_dir: Path, epoch: int, metrics: Mapping[str, float | None]) -> None:
    """An epoch (counted from 1) was trained and validated, and its checkpoint is written."""


@hookspec
def sightsmith_after_run(run_dir: Path, metrics: Mapping[str, float | None]) -> None:
    """The run is finished: model bundle and report are written. ``metrics`` are those of the best checkpoint.

    Every plugin is called, also where one before it fails; a wrapper is called around each.
    """


@hookspec
def sightsmith_on_run_error(run_dir: Path, error: BaseException) -> None:
    """The run ended with ``error``: status `error`, or `stopped` where it is a KeyboardInterrupt."""
