"""What the runs of a sweep have in common, and what they differ in."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from sightsmith.core.config.compose import resolve, without_hydra
from sightsmith.core.config.sweep_syntax import axis_of, parse_space
from sightsmith.core.contracts.recommendation import Choice, owned
from sightsmith.core.contracts.records import TunerRecord
from sightsmith.core.contracts.schema import AUTO, MANUAL, Config, typed, walk
from sightsmith.core.contracts.search_space import Axis, count
from sightsmith.core.contracts.tuner import AsynchronousTuner, Proposal, Search, SearchMethod, Tuner
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.text import duration

SHARING = "tuner.runs_per_device"
"""The one key of tuner.* that a run itself goes by."""


@dataclass(frozen=True)
class SweepPlan:
    """``fixed`` are the overrides of every run, ``space`` is what the runs differ in.

    Of a search also what one run is expected to be: its ``epochs``, the ``seconds`` that they take and those before the
    first (``start_seconds``), the ``devices``, the values that it would have were nothing searched (``given``), and as
    rows what tuner=auto has chosen.
    """

    fixed: tuple[str, ...]
    space: tuple[Axis, ...]
    epochs: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    devices: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    choice: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def by_hand(cls, parsed: Sequence[Override]) -> SweepPlan:
        """All that is typed."""
        fixed, axes = _split(parsed)
        return cls(tuple(fixed.values()), tuple(axes.values()))

    @classmethod
    def searched(cls, parsed: Sequence[Override], config: DictConfig, loader: ConfigLoader, record: TunerRecord,
                 ) -> SweepPlan:
        """What the tuner ``record`` searches, with what one run of it would be, measured. Raises UserError."""
        from sightsmith.engine.pipeline.start import plan  # torch: not needed to compose

        fixed, axes = _split(parsed)
        auto = record.name == AUTO
        if auto and (taken := [axis for axis in axes.values() if owned(axis.name)]):
            raise UserError("tuner=auto chooses these:", problems=[Problem(str(axis)) for axis in taken],
                            hint="leave them out, or search with another tuner")
        common = {key: text for key, text in fixed.items()
                  if key == SHARING or key.partition(".")[0] not in ("tuner", "preference")}
        # Of each axis any value that is there: that of the network decides on how fast a run is.
        probe = ["trainer.devices=1", *(fixed.values() if auto else [*common.values(), f"tuner={MANUAL}"]),
                 *(axis.override(axis.choices[0]) for axis in axes.values() if axis.choices)]
        run = resolve(*without_hydra(loader.load_sweep_config(config, probe)))
        begun = time.monotonic()
        planned = plan(run)  # what a run does before its first epoch
        start_seconds = time.monotonic() - begun
        usual: Any = OmegaConf.to_container(config.tuner.space)
        known = parse_space(usual, f"tuner.space of {record.name}")
        settings = [f"tuner={MANUAL}", "dataset.folds=none", "trainer.devices=1",
                    f"trainer.precision={planned.precision}", f"trainer.memory_format={planned.memory_format}",
                    *(record.overrides if config.tuner.jobs != 1 else ())]  # one run is compared with none
        common = {text.partition("=")[0]: text for text in settings} | common
        if planned.choice is not None:
            known = [Axis(item.key, (), item.low, item.high, item.log) for item in planned.choice.space]
            common |= _decided(planned.choice, run)
            run = planned.choice.applied(run)
        space = [*(axis for axis in known if axis.key not in (*fixed, *axes)), *axes.values()]
        if not space:
            raise UserError(f"tuner={record.name} has nothing to search: every key of its space is given",
                            hint="leave one of them out, or type several values: hyper.learning_rate=0.001,0.01")
        searched = {axis.name for axis in space}
        return cls(tuple(text for key, text in common.items() if key not in searched), tuple(space), planned.epochs,
                   planned.estimated_seconds / planned.trainings, start_seconds, planned.devices,
                   {key: value for key, _, value in walk(run) if key in searched},
                   tuple(planned.choice.rows()) if planned.choice else ())

    def tuner(self, config: DictConfig, record: TunerRecord) -> Tuner | AsynchronousTuner:
        """Raises UserError where it cannot search this space in so many runs."""
        jobs, limits = config.tuner.jobs, config.limits
        if unknown := [key for key in config.tuner.options if key not in record.options]:
            raise UserError(f"tuner={record.name} has no such option:",
                            problems=[Problem(f"tuner.options.{key}{near(key, list(record.options))}")
                                      for key in unknown],
                            hint=f"it has {', '.join(record.options) or 'none'}")
        if record.searches:
            _refuse_jobs(jobs, limits, self.space, single=record.name == AUTO)
        return record.build()(Search(
            space=self.space, jobs=jobs or count(self.space), epochs=self.epochs, seed=config.trainer.seed,
            parallel=parallel(config), devices=self.devices / config.tuner.runs_per_device, given=self.given,
            options=OmegaConf.to_container(config.tuner.options)))  # type: ignore[arg-type]

    def probes(self) -> list[Proposal]:
        """Runs that between them have every choice, and both ends of every range."""
        values = {axis.name: axis.choices or (axis.number(axis.low), axis.number(axis.high)) for axis in self.space}
        usual = {name: found[0] for name, found in values.items()}
        return [Proposal({**usual, name: value}) for name, found in values.items() for value in found]

    def overrides(self, proposal: Proposal, folder: Path) -> tuple[str, ...]:
        """What the run of ``proposal`` is started with; its parent is in ``folder``."""
        values = [axis.override(proposal.values[axis.name]) for axis in self.space]
        pause = [] if proposal.epochs is None else [f"trainer.stop_epoch={proposal.epochs}"]
        parent = [] if proposal.parent is None else [f"trainer.parent={quoted(folder / str(proposal.parent))}"]
        return (*self.fixed, *values, *pause, *parent)

    def table(self, record: TunerRecord, tuner: SearchMethod) -> Table:
        """What is searched, and how long that is expected to take."""
        at_once = tuner.at_once
        table = Table("what", "value", title="Search", title_justify="left", show_header=False)
        table.add_row("tuner", f"{record.name}: {record.description}")
        for axis in self.space:
            table.add_row(axis.name, str(axis).partition(": ")[2])
        times = tuner.epochs / self.epochs
        seconds = self.seconds * times + self.start_seconds * tuner.runs
        table.add_row("training", f"{tuner.epochs} epochs, {times:g} times those of a run, in {tuner.runs} runs, "
                                  f"{at_once} at a time")
        table.add_row("estimated time", duration(seconds / min(at_once, tuner.runs)))
        table.add_row("device hours", f"{seconds * self.devices / 3600:.2g}")
        return table

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> SweepPlan:
        space = tuple(Axis(**axis | {"choices": tuple(axis["choices"])}) for axis in kept["space"])
        return cls(**{**kept, "fixed": tuple(kept["fixed"]), "space": space,
                      "choice": tuple(tuple(row) for row in kept["choice"])})


def parallel(config: DictConfig) -> int:
    """How many runs the chosen launcher has at a time, as far as its configuration tells."""
    launcher = config.hydra.launcher
    number = launcher.get("n_jobs") or launcher.get("array_parallelism") or 1
    return int(number) if number > 0 else max((os.cpu_count() or 1) + 1 + int(number), 1)


def quoted(path: Path) -> str:
    """``path`` as an override's value, whatever characters it has."""
    return QuotedString(str(path), Quote.single).with_quotes()


def _decided(choice: Choice, config: Config) -> dict[str, str]:
    """By key, the overrides that make of ``config`` what was chosen."""
    own = {key: value for key, _, value in walk(config)}
    keys = {"network.name": "network"}
    return {(key := keys.get(item.key, item.key)): f"{key}={typed(item.value).replace(' ', '')}"
            for item in choice.decisions if item.value != own[item.key]}


def _split(parsed: Sequence[Override]) -> tuple[dict[str, str], dict[str, Axis]]:
    """By key, what is given once, as typed, and what sweeps; of a key that is typed twice the last."""
    fixed: dict[str, str] = {}
    axes: dict[str, Axis] = {}
    for override in parsed:
        key = override.get_key_element()
        fixed.pop(key, None)
        axes.pop(key, None)
        if override.is_sweep_override():
            axes[key] = axis_of(override)
        else:
            fixed[key] = key if key.startswith("~") else f"{key}={override.get_value_element_as_str()}"
    return fixed, axes


def _refuse_jobs(jobs: int | None, limits: DictConfig, space: Sequence[Axis], *, single: bool) -> None:
    """Raises UserError for a number of runs beyond the limits."""
    if jobs is None:
        if all(axis.choices for axis in space) and count(space) > limits.jobs:
            sizes = " x ".join(f"{len(axis.choices)} of {axis.name}" for axis in space)
            raise UserError(f"{sizes} are {count(space)} runs, and limits.jobs is {limits.jobs}",
                            hint=f"leave values out, or type limits.jobs={count(space)}, or tuner=random")
    elif not (limits.least_jobs <= jobs <= limits.jobs or single and jobs == 1):
        raise UserError(f"tuner.jobs={jobs} is not from {limits.least_jobs} to {limits.jobs}",
                        hint="type limits.jobs or limits.least_jobs if you mean it")
