"""What Hydra calls for each run: on the command line, in a sweep, and in the processes of its launchers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import sightsmith
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import resolve
from sightsmith.engine.runs.next_commands import next_lines
from sightsmith.engine.search.own_file import spelled_out


def run_composed(composed: DictConfig, plugins: Plugins) -> float | None:
    """Train one run; returns its score."""
    hydra = HydraConfig.get()
    # As they are: paths in them may have a ${ that OmegaConf would resolve.
    node: Any = OmegaConf.to_container(hydra, resolve=False)
    runtime = node["runtime"]
    config = resolve(composed, runtime["choices"], plugins)
    overrides = spelled_out(node, config, node["overrides"]["task"])
    if plugins.tuner(config.tuner.name).searches:
        raise UserError(f"tuner={config.tuner.name} needs many runs, but hydra.mode=RUN starts only one",
                        hint="omit hydra.mode, or type tuner=manual")
    folder = Path(runtime["output_dir"]) if hydra.mode == RunMode.MULTIRUN else None
    if folder is None:  # at once: importing torch takes seconds
        print(f"sightsmith {sightsmith.__version__}: {config.task.name} with {config.network.name}, "
              f"data set {config.dataset.root}", flush=True)
    from sightsmith.engine.pipeline.start import start  # torch: not needed to compose

    result = start(config, overrides, plugins, folder)
    if result is None:
        return None
    if folder is None:  # of a sweep, the best run is named at its end
        print(next_lines(result.run_dir))
    return result.metrics.get(plugins.task(config.task.name).score)


@dataclass(frozen=True)
class HydraTask:
    """Hydra's task function. A launcher pickles it; the process that unpickles it loads the plugins again."""

    plugins: Plugins

    def __call__(self, composed: DictConfig) -> float | None:
        return run_composed(composed, self.plugins)
