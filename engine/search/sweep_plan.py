"""What the trials of a sweep have in common, and what they differ in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from sightsmith.core.contracts.keys import format_override, walk
from sightsmith.core.contracts.recommendation import Recommendation, owned
from sightsmith.core.contracts.records import TunerRecord
from sightsmith.core.contracts.schema import AUTO, MANUAL, PLATFORM, Config
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.text import counted, format_duration
from sightsmith.engine.config.compose import resolve, without_hydra
from sightsmith.engine.config.literal import quoted
from sightsmith.engine.report.plan_table import recommendation_rows
from sightsmith.engine.search.own_file import spelled_out
from sightsmith.engine.search.search_space import Parameter, count
from sightsmith.engine.search.sweep_syntax import parse_parameter, parse_space
from sightsmith.engine.search.tuner import AsynchronousTuner, SearchMethod, SearchSpace, Suggestion, Tuner

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

SHARING = "tuner.runs_per_device"
"""The only key of tuner.* that a trial itself uses."""


@dataclass(frozen=True)
class SweepPlan:
    """``fixed`` are the overrides of every trial, ``space`` is what the trials differ in.

    A search also has an estimate of one trial: its ``epochs``, the ``seconds`` that they take and those before the
    first (``start_seconds``), and its ``devices``; the values of ``space`` without a search (``defaults``); and the
    rows of what tuner=auto has chosen (``choice``).
    """

    fixed: tuple[str, ...]
    space: tuple[Parameter, ...]
    epochs: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    devices: int = 1
    defaults: Mapping[str, Any] = field(default_factory=dict)
    choice: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def by_hand(cls, parsed: Sequence[Override]) -> SweepPlan:
        """All combinations of ``parsed``."""
        fixed, parameters = _split(parsed)
        return cls(tuple(fixed.values()), tuple(parameters.values()))

    @classmethod
    def searched(cls, parsed: Sequence[Override], config: DictConfig, loader: ConfigLoader, record: TunerRecord,
                 plugins: Plugins) -> SweepPlan:
        """The search space of the tuner ``record``, with a measured estimate of one trial.

        Raises UserError; unless the space depends on the data, before the data is read.
        """
        from sightsmith.engine.pipeline.start import plan  # torch: not needed to compose

        _ensure_settings(config, record)
        fixed, parameters = _split(parsed)
        auto = record.name == AUTO
        if auto and (taken := [parameter for parameter in parameters.values() if owned(parameter.name)]):
            raise UserError("tuner=auto chooses these:",
                            problems=[Problem(str(parameter)) for parameter in taken],
                            hint="omit them, or search with another tuner")
        common = {key: text for key, text in fixed.items()
                  if key == SHARING or key.partition(".")[0] not in ("tuner", "preference")}
        # Any value of each parameter will do; that of the network decides how fast a trial is.
        probe = ["trainer.devices=1", *(fixed.values() if auto else [*common.values(), f"tuner={MANUAL}"]),
                 *(parameter.override(parameter.choices[0]) for parameter in parameters.values() if parameter.choices)]
        composed = loader.load_sweep_config(config, probe)
        hydra: Any = OmegaConf.to_container(composed.hydra, resolve=False)
        run = resolve(*without_hydra(composed), plugins)
        tuner_space: Any = OmegaConf.to_container(config.tuner.space)
        space = _space(parse_space(tuner_space, f"tuner.space of {record.name}"), fixed, parameters)
        if not auto:
            cls((), tuple(space), run.hyper.epochs).tuner(config, record)  # what it says of a space that is not for it
        started = time.monotonic()
        planned = plan(run, spelled_out(hydra, run, probe), plugins)  # what a trial does before its first epoch
        start_seconds = time.monotonic() - started
        settings = [f"tuner={MANUAL}", "dataset.folds=none", "dataset.refit=auto", "trainer.devices=1",
                    f"trainer.precision={planned.precision}", f"trainer.memory_format={planned.memory_format}",
                    *(record.overrides if config.tuner.trials != 1 else ())]  # one trial has no rival
        common = {text.partition("=")[0]: text for text in settings} | common
        if not auto:  # the same values in every trial, whatever it searches
            decided = Recommendation(tuple(item for item in planned.settings
                                           if item.origin.startswith(("recipe=", "trainer.time_budget="))))
            common |= _decided(decided, run)
            run = decided.applied(run)
            common.pop("trainer.time_budget", None)
        common["recipe"] = f"recipe={PLATFORM}"  # its values are now set
        if planned.choice is not None:
            chosen = [Parameter(item.key, (), item.low, item.high, item.log) for item in planned.choice.space]
            space = _space(chosen, fixed, parameters)
            common |= _decided(planned.choice, run)
            run = planned.choice.applied(run)
        searched = {parameter.name for parameter in space}
        return cls(tuple(text for key, text in common.items() if key not in searched), tuple(space), planned.epochs,
                   planned.estimated_seconds / planned.trainings, start_seconds, planned.devices,
                   {key: value for key, _, value in walk(run) if key in searched},
                   tuple(recommendation_rows(planned.choice)) if planned.choice else ())

    def tuner(self, config: DictConfig, record: TunerRecord) -> Tuner | AsynchronousTuner:
        """Raises UserError if the tuner cannot search this space in this number of trials."""
        if record.searches:
            _ensure_settings(config, record)
            _ensure_searchable(self.space, config, record)
        return record.make(SearchSpace(
            space=self.space, trials=config.tuner.trials or count(self.space), epochs=self.epochs,
            seed=config.trainer.seed, parallel=parallel(config), configured=self.defaults,
            devices=self.devices / config.tuner.runs_per_device,
            options=OmegaConf.to_container(config.tuner.options)))  # type: ignore[arg-type]

    def probes(self) -> list[Suggestion]:
        """Suggestions that together contain every choice, and both ends of every range: as few as possible."""
        values = [parameter.choices or (parameter.number(parameter.low), parameter.number(parameter.high))
                  for parameter in self.space]
        return [Suggestion({parameter.name: choices[min(place, len(choices) - 1)]
                            for parameter, choices in zip(self.space, values, strict=True)})
                for place in range(max(map(len, values), default=0))]

    def overrides(self, suggestion: Suggestion, folder: Path) -> tuple[str, ...]:
        """The overrides of the trial of ``suggestion``; its parent is in ``folder``."""
        values = [parameter.override(suggestion.values[parameter.name]) for parameter in self.space]
        pause = [] if suggestion.epochs is None else [f"trainer.pause_after_epoch={suggestion.epochs}"]
        parent = [] if suggestion.parent is None else [f"trainer.branch_from={quoted(folder / str(suggestion.parent))}"]
        return (*self.fixed, *values, *pause, *parent)

    def table(self, record: TunerRecord, tuner: SearchMethod) -> Table:
        """What is searched, and the estimated time."""
        at_once = tuner.at_once
        table = Table("what", "value", title="Search", title_justify="left", show_header=False)
        table.add_row("tuner", f"{record.name}: {record.description}")
        for parameter in self.space:
            table.add_row(parameter.name, str(parameter).partition(": ")[2])
        times = tuner.epochs / self.epochs
        seconds = self.seconds * times + self.start_seconds * tuner.runs
        table.add_row("training", f"{counted(tuner.epochs, 'epoch')} ({times:g} times those of one run) in "
                                  f"{counted(tuner.runs, 'trial')}, {at_once} at a time")
        table.add_row("estimated time", format_duration(seconds / min(at_once, tuner.runs)))
        table.add_row("device hours", f"{seconds * self.devices / 3600:.2g}")
        return table

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> SweepPlan:
        space = tuple(Parameter(**parameter | {"choices": tuple(parameter["choices"])}) for parameter in kept["space"])
        return cls(**{**kept, "fixed": tuple(kept["fixed"]), "space": space,
                      "choice": tuple(tuple(row) for row in kept["choice"])})


def parallel(config: DictConfig) -> int:
    """How many jobs the chosen launcher runs at a time, according to its configuration."""
    launcher = config.hydra.launcher
    number = launcher.get("n_jobs") or launcher.get("array_parallelism") or 1
    return int(number) if number > 0 else max((os.cpu_count() or 1) + 1 + int(number), 1)


def _decided(choice: Recommendation, config: Config) -> dict[str, str]:
    """The overrides that turn ``config`` into what was chosen, by key."""
    current = {key: value for key, _, value in walk(config)}
    keys = {"network.name": "network"}
    return {(key := keys.get(item.key, item.key)): f"{key}={format_override(item.value).replace(' ', '')}"
            for item in choice.decisions if item.value != current[item.key]}


def _split(parsed: Sequence[Override]) -> tuple[dict[str, str], dict[str, Parameter]]:
    """The fixed overrides and the swept parameters, by key; the last one of a repeated key counts."""
    fixed: dict[str, str] = {}
    parameters: dict[str, Parameter] = {}
    for override in parsed:
        key = override.get_key_element()
        fixed.pop(key, None)
        parameters.pop(key, None)
        if override.is_sweep_override():
            parameters[key] = parse_parameter(override)
        else:
            fixed[key] = key if key.startswith("~") else f"{key}={override.get_value_element_as_str()}"
    return fixed, parameters


def _space(known: Iterable[Parameter], fixed: Mapping[str, str], parameters: Mapping[str, Parameter],
           ) -> list[Parameter]:
    """``parameters``, and those of ``known`` whose keys are not overridden."""
    return [*(parameter for parameter in known if parameter.key not in (*fixed, *parameters)), *parameters.values()]


def _ensure_settings(config: DictConfig, record: TunerRecord) -> None:
    """Raises UserError for options that the tuner does not have, and for a number of trials outside the limits: what
    does not depend on the space."""
    if unknown := [key for key in config.tuner.options if key not in record.options]:
        raise UserError(f"tuner={record.name} has no such option:",
                        problems=[Problem(f"tuner.options.{key}{near(key, list(record.options))}") for key in unknown],
                        hint=f"it has {', '.join(record.options) or 'none'}")
    trials, limits = config.tuner.trials, config.limits
    if trials is not None and not (limits.min_trials <= trials <= limits.max_trials
                                   or record.name == AUTO and trials == 1):
        raise UserError(f"tuner.trials={trials} is not between {limits.min_trials} and {limits.max_trials}",
                        hint="change limits.min_trials or limits.max_trials if you mean it")


def _ensure_searchable(space: Sequence[Parameter], config: DictConfig, record: TunerRecord) -> None:
    """Raises UserError for an empty space, and for one with too many combinations."""
    limits = config.limits
    if not space:
        raise UserError(f"tuner={record.name} has nothing to search: every key of its space has a fixed value",
                        hint="omit one of them, or type several values: hyper.learning_rate=0.001,0.01")
    if config.tuner.trials is None and all(parameter.choices for parameter in space) \
            and count(space) > limits.max_trials:
        sizes = " x ".join(f"{len(parameter.choices)} of {parameter.name}" for parameter in space)
        raise UserError(f"{sizes} are {count(space)} trials, but limits.max_trials is {limits.max_trials}",
                        hint=f"omit values, or type limits.max_trials={count(space)} or tuner=random")
