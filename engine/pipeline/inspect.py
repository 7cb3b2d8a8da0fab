"""A data set, checked as for a training, without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import Problem, has_errors
from sightsmith.core.util.html import html_table
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.channels import choose_channels
from sightsmith.engine.data.check_split import across
from sightsmith.engine.data.near_duplicates import Pair, near_duplicates
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.pipeline.find_task import with_task
from sightsmith.engine.pipeline.load_dataset import check

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Inspection:
    """A checked data set, the configuration that it was checked for, and its ``near_duplicates``."""

    dataset: CheckedDataset
    config: Config = field(repr=False)
    near_duplicates: tuple[Pair, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything found, with file and line. A training refuses those of the severity "error"."""
        return self.dataset.problems

    def to_json(self) -> dict[str, Any]:
        """Counts by class and split, sizes in pixels, hashes, problems and near-duplicates."""
        return describe(self.dataset, self.config.image) | {
            "near_duplicates": [pair.to_json() for pair in self.near_duplicates]}

    def _repr_html_(self) -> str:
        found = self.to_json()
        rows = [(name, images["train"], images["validation"]) for name, images in found["classes"].items()]
        problems = [(item.severity, item.file, item.line, "\n".join(filter(None, (item.message, item.hint))))
                    for item in self.problems]
        title = f"{found['root']}: {found['format']}"
        return (html_table(rows, ("class", "training images", "validation images"), title)
                + (html_table(problems, ("problem", "file", "line", ""), "Problems") if problems else "")
                + (f"<p>{len(self.near_duplicates)} pairs of near-duplicates</p>" if self.near_duplicates else ""))


def inspect(overrides: Sequence[str], plugins: Plugins, report: Callable[[str], None] = print) -> Inspection:
    """Read and check the data set of ``overrides``. Raises UserError if there is none; its problems are returned."""
    config = compose(with_task(overrides, plugins, report), plugins)
    dataset = check(config, plugins, report)
    if not has_errors(dataset.problems):
        config = Recommendation(choose_channels(config, dataset)).applied(config)
    plugins.dataset_checked(dataset=dataset)
    pairs = near_duplicates(dataset.index.samples, config.image)
    problems = (*dataset.problems, *across(dataset, pairs))
    return Inspection(replace(dataset, problems=problems), config, tuple(pairs))
