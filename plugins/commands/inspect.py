"""``sightsmith inspect``: check, show and convert a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.errors import UserError, has_errors
from sightsmith.plugins.commands.settings import flag, key, overrides, parse

if TYPE_CHECKING:
    from sightsmith.core.contracts.schema import Config
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Inspect:
    """Read and check a data set as `train` does, without training. convert=FORMAT also writes it in another
    format."""

    overrides: list[str] = overrides("task=... dataset.root=... and any other key of `train`")
    convert: str | None = key("also write the data set in this format: `sightsmith list formats`", None,
                              metavar="FORMAT")
    convert_dir: Path | None = key("folder for the converted data, by default ./NAME-FORMAT", None, metavar="FOLDER")
    json: bool = flag("print one JSON object")
    html: Path | None = flag("write a page with problems, statistics, near-duplicates and contact sheets to "
                             "this new folder", None, metavar="FOLDER")


def inspect_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Inspect, arguments, plugins.commands["inspect"])
    if options.html is not None and options.html.exists():
        raise UserError(f"--html {options.html} already exists and is not overwritten",
                        hint="choose a new folder")

    from sightsmith.core.config.compose import compose
    from sightsmith.core.util.files import ensure_writable, make_folder
    from sightsmith.engine.data.near_duplicates import near_duplicates
    from sightsmith.engine.data.statistics import describe
    from sightsmith.engine.pipeline.load_dataset import check
    from sightsmith.plugins.commands.output import print_json
    from sightsmith.plugins.commands.tables import print_dataset

    report: Callable[[str], None] = (lambda line: None) if options.json else print
    if options.html is not None:
        ensure_writable(options.html)
    config = compose(options.overrides, plugins)
    dataset = check(config, plugins, report)
    plugins.dataset_checked(dataset=dataset)
    pairs = near_duplicates(dataset.index.samples, config.image)
    if options.html is not None:
        from sightsmith.engine.report.inspect_page import write_inspect_page

        make_folder(options.html.parent)
        report(f"Page: {write_inspect_page(options.html, dataset, pairs, config.image)}")
    if options.json:
        print_json(describe(dataset) | {"near_duplicates": [pair.to_json() for pair in pairs]})
        if has_errors(dataset.problems):
            return 2
    else:
        print_dataset(dataset)
        if pairs:
            print(f"{len(pairs)} pairs of near-duplicates, such as {pairs[0].first.key} and {pairs[0].second.key}; "
                  "--html FOLDER shows them")
        dataset.raise_for_errors()
    if options.convert is not None:
        _convert(config, plugins, options.convert, options.convert_dir, report)
    return 0


def _convert(config: Config, plugins: Plugins, form: str, folder: Path | None, report: Callable[[str], None]) -> None:
    from sightsmith.engine.data.write import find_writer, write_dataset
    from sightsmith.engine.pipeline.load_dataset import check_for_evaluation

    whole = check_for_evaluation(config, plugins, lambda line: None)  # including the test split
    writer = find_writer(form, plugins.dataset_formats, whole.index.annotation)
    target = (folder or Path(f"{whole.index.root.name}-{writer.name}")).resolve()
    for line in (*write_dataset(whole.index, whole.infos, writer, target), f"Written as {writer.name}: {target}"):
        report(line)
