"""The finished run that a retraining starts from: ``flow=retrain source=RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.errors import Problem, UserError
from sightsmith.core.result import CARD, WEIGHTS, read_card, restore_config
from sightsmith.core.rundir import RunFolder
from sightsmith.core.schema import Config, SourceConfig

if TYPE_CHECKING:
    from sightsmith.core.check import CheckedDataset
    from sightsmith.core.weights import LoadReport

FREE = ("augment", "network.rename", "source.distillation", "source.replay")
"""Keys of a retraining that the source gives, but does not lock."""


@dataclass(frozen=True)
class Source:
    """A finished run. It locks task, network and pre-processing, and gives all else of its recipe as a default."""

    path: Path
    card: Mapping[str, Any]

    @property
    def config(self) -> Config:
        return restore_config(self.card["config"], RunFolder(self.path).model / CARD)

    @property
    def free(self) -> tuple[str, ...]:
        return FREE

    @property
    def owner(self) -> str:
        return f"The source {self.path}"

    @property
    def task(self) -> str:
        return str(self.card["task"])

    def node(self) -> dict[str, Any]:
        """The option of Hydra's group ``source``, for the package ``_global_``."""
        config = self.config
        values = recipe(config)
        values["network"]["weights"] = str(RunFolder(self.path).model / WEIGHTS)
        return {"defaults": [{"override /task": self.task}, {"override /network": config.network.name}],
                "flow": "retrain", **values,
                "source": asdict(SourceConfig(str(self.path), list(self.card["classes"])))}


def recipe(config: Config) -> dict[str, dict[str, Any]]:
    """What a training on other data takes over of the one that ``config`` describes, but for the network's name and
    weights."""
    return {"network": {"options": config.network.options, "config": config.network.config},
            "image": asdict(config.image), "augment": asdict(config.augment), "hyper": asdict(config.hyper),
            "limits": asdict(config.limits),
            "dataset": {"tile": config.dataset.tile, "tile_overlap": config.dataset.tile_overlap}}


def find_source(folder: str | Path) -> Source:
    """The finished run in ``folder``. Raises UserError where there is none."""
    path = Path(folder).expanduser().resolve()
    try:
        return Source(path, read_card(path))
    except UserError as error:
        raise UserError(f"source={folder}: {error.message}", hint=error.hint) from error


def refuse_unfit(dataset: CheckedDataset, config: Config) -> None:
    """Raises UserError where ``dataset`` cannot be learnt by what ``config.source`` has trained."""
    index, source = dataset.index, config.source
    problems = []
    if source.run is not None and index.annotation == "labels":
        multi_label = read_card(Path(source.run))["multi_label"]
        if index.multi_label != multi_label:
            kinds = {True: "multi-label", False: "single-label"}
            problems.append(Problem(f"the data is {kinds[index.multi_label]}, the source {kinds[multi_label]}"))
    names = [config.network.renames.get(name, name) for name in source.classes]
    if lost := [name for name in config.network.renames.values() if name not in index.classes]:
        problems.append(Problem(f"network.rename: the data has no class {', '.join(lost)}"))
    if not set(names) & set(index.classes):
        problems.append(Problem("none of the source's classes is in the data",
                                hint="say which is which: '+network.rename={old: new}'; or start from the source's "
                                     f"weights alone: flow=general network.weights={config.network.weights}"))
    if problems:
        raise UserError(f"{index.root} does not fit the source {source.run}:", problems=problems,
                        hint=f"classes of the source: {', '.join(source.classes)}\n"
                             f"classes of the data:   {', '.join(index.classes)}")


def refuse_partial(loaded: LoadReport, config: Config) -> None:
    """Raises UserError where the source's weights are not all that its network takes: it is another one by now."""
    problems = [Problem(f"{name} is {shapes}") for name, shapes in loaded.mismatched]
    problems += [Problem(f"{name} is not in its bundle") for name in loaded.missing]
    problems += [Problem(f"{name} of its bundle is not in the network") for name in loaded.unused]
    if problems:
        raise UserError(f"The weights of {config.source.run} do not fit the network {config.network.name}:",
                        problems=problems, hint="it was made with another version of the network's package; "
                        "`sightsmith verify` tells which")
