"""``sightsmith init``: write a configuration of one's own for a data set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.plugins.commands.settings import key, overrides, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Init:
    """Write a configuration of your own for a data set, a YAML file that `sightsmith train --config-name NAME` takes:
    the task that the annotation suggests, and what the recipe or, with tuner=auto, the recommendation chooses for the
    data, each value with its reason. Existing files are not overwritten."""

    overrides: list[str] = overrides("dataset=... and any other key of `train`")
    file: Path | None = key("the file, by default NAME.yaml for the data set NAME", None, metavar="FILE.yaml",
                            offers="files")


def init_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Init, arguments, plugins.commands["init"])

    from sightsmith.engine.config.compose import compose
    from sightsmith.engine.config.overrides import typed_overrides
    from sightsmith.engine.pipeline.find_task import with_task
    from sightsmith.engine.pipeline.load_dataset import check
    from sightsmith.engine.pipeline.own_config import SUFFIX, command, ensure_possible, write_own_config
    from sightsmith.engine.pipeline.recipe import YOU

    why: list[str] = []
    chosen = typed_overrides(with_task(options.overrides, plugins, why.append), plugins)
    print(*why, sep="\n", end="\n" if why else "")
    config = compose(chosen, plugins)
    name = re.sub(r"[^\w-]+", "-", Path(config.dataset.root).stem).strip("-") or "own"
    file = Path(f"{options.file or name}".removesuffix(SUFFIX) + SUFFIX)
    ensure_possible(config, file)
    dataset = check(config, plugins, print)
    dataset.raise_for_errors()
    write_own_config(file, config, chosen, dataset, why[0].partition(", because ")[2] if why else YOU, plugins)
    print(f"Configuration: {file}\nNext: {command(file)}")
    return 0
