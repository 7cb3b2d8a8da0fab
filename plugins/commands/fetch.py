"""``sightsmith fetch``: download a network's published weights ahead of time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.plugins.commands.settings import key, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """Download a network's published weights ahead of time, for a machine without a network connection: carry the
    folder there, and train with TORCH_HOME=DIR. Without folder, the file goes where training on this machine looks for
    it."""

    network: str = key("a name from `sightsmith list networks`", metavar="NAME", offers="networks")
    config: str | None = key("for a network that is a model zoo: one of its configurations", None,
                             name="network.config", metavar="CONFIG", offers="network configs")
    weights: str = key("what to download", "published", name="network.weights", choices=("published", "backbone"))
    folder: Path | None = key("the folder that TORCH_HOME will name, by default torch's own", None, metavar="DIR",
                             offers="files")


def fetch_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Fetch, arguments, plugins.commands["fetch"])
    record = plugins.network(options.network)
    record.annotation_of(options.config)  # refuses a configuration that is missing, unknown or not trainable

    from sightsmith.core.contracts.schema import NetworkConfig
    from sightsmith.core.util.errors import UserError
    from sightsmith.engine.runs.published import choose_weights, described, download_published, hub_folder

    chosen = NetworkConfig(options.network, options.weights, config=options.config)
    published = choose_weights(record, chosen)
    if published is None:
        raise UserError(f"Nothing is published for {described(chosen)}: it can only start from random weights, or from "
                        "a file of yours", hint="`sightsmith list networks` shows what is published")
    folder = hub_folder(options.folder and options.folder.resolve())
    try:
        path = download_published(published, folder)
    except OSError as error:
        raise UserError(f"The published weights cannot be downloaded: {error}",
                        hint=f"download {published.url} by other means into {folder}") from error
    print(f"{path}\n{published.dataset}, licence {published.licence}")
    if options.folder is not None:
        print(f"Train with these weights: TORCH_HOME={options.folder} sightsmith train {described(chosen)} ...")
    return 0
