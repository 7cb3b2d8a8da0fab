"""``sightsmith inspect``: check, show and convert a data set."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.errors import UserError, has_errors
from sightsmith.core.util.text import counted
from sightsmith.plugins.commands.settings import flag, key, overrides, parse

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import CheckedDataset
    from sightsmith.core.contracts.report import Section
    from sightsmith.core.contracts.schema import Config
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Inspect:
    """Read and check a data set as `train` does, without training. convert=FORMAT also writes it in another
    format."""

    overrides: list[str] = overrides("task=... dataset.root=... and any other key of `train`")
    convert: str | None = key("also write the data set in this format: `sightsmith list formats`", None,
                              metavar="FORMAT", offers="writers")
    convert_dir: Path | None = key("folder for the converted data, by default ./NAME-FORMAT", None, metavar="FOLDER",
                                    offers="files")
    augmentations: bool = key("also show augmented training images, on the page of --html or, without it, in "
                              "./NAME-augmented", False)
    json: bool = flag("print one JSON object")
    html: Path | None = flag("write a page with problems, statistics, near-duplicates and contact sheets to "
                             "this new folder", None, metavar="FOLDER")


def inspect_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Inspect, arguments, plugins.commands["inspect"])
    if options.html is not None:
        _ensure_new(options.html, "--html")

    from sightsmith.core.util.files import ensure_writable, make_folder
    from sightsmith.core.util.text import one_line
    from sightsmith.engine.pipeline.inspect import inspect
    from sightsmith.plugins.commands.output import print_json
    from sightsmith.plugins.commands.tables import print_dataset

    report: Callable[[str], None] = (lambda line: None) if options.json else print
    if options.html is not None:
        ensure_writable(options.html)
    found = inspect(options.overrides, plugins, report)
    config, dataset, pairs = found.config, found.dataset, found.near_duplicates
    html = options.html
    if options.augmentations and html is None:
        html = Path(f"{dataset.index.root.name}-augmented")
        _ensure_new(html, "augmentations=true")
    if html is not None:
        from sightsmith.engine.report.inspect_page import write_inspect_page

        sheet = _augmented(config, plugins, dataset) if options.augmentations else []
        make_folder(html.parent)
        report(f"Page: {write_inspect_page(html, dataset, pairs, config.image, sheet)}")
    if options.json:
        print_json(found.to_json())
        if has_errors(dataset.problems):
            return 2
    else:
        print_dataset(dataset, config.image)
        if pairs:
            print(one_line(f"{counted(len(pairs), 'pair')} of near-duplicates, such as {pairs[0].first.key} and "
                            f"{pairs[0].second.key}; --html FOLDER shows them"))
        dataset.raise_for_errors()
        print(f"Next: {shlex.join(['sightsmith', 'train', *options.overrides])}")
    if options.convert is not None:
        _convert(config, plugins, options.convert, options.convert_dir, report)
    return 0


def _ensure_new(folder: Path, what: str) -> None:
    if folder.exists():
        raise UserError(f"{what}: {folder} already exists and is not overwritten",
                        hint="choose a new folder: --html FOLDER")


def _augmented(config: Config, plugins: Plugins, dataset: CheckedDataset) -> list[Section]:
    """Training images as the network gets them. Raises UserError for a data set with errors."""
    from sightsmith.engine.data.tiling import tile_dataset
    from sightsmith.engine.pipeline.prepare import training_task
    from sightsmith.engine.report.augmented_sheet import augmented_sheet

    dataset.raise_for_errors()
    task = training_task(config, plugins, dataset.index)
    train = tile_dataset(dataset, config.dataset.tile, task).train
    return augmented_sheet(task, task.dataset(train, training=True), train, config.trainer.seed)


def _convert(config: Config, plugins: Plugins, form: str, folder: Path | None, report: Callable[[str], None]) -> None:
    from sightsmith.core.util.files import resolved_path
    from sightsmith.engine.data.write import find_writer, write_dataset
    from sightsmith.engine.pipeline.load_dataset import check_for_evaluation

    whole = check_for_evaluation(config, plugins, lambda line: None)  # including the test split
    writer = find_writer(form, plugins.dataset_formats, whole.index.annotation)
    target = resolved_path(folder or f"{whole.index.root.name}-{writer.name}")
    for line in (*write_dataset(whole.index, whole.infos, writer, target), f"Written as {writer.name}: {target}"):
        report(line)
