"""What the runs of a sweep have in common, and what they differ in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from sightsmith.core.config.compose import resolve, without_hydra
from sightsmith.core.config.sweep_syntax import parse_parameter, parse_space
from sightsmith.core.contracts.recommendation import Recommendation, owned
from sightsmith.core.contracts.records import TunerRecord
from sightsmith.core.contracts.schema import AUTO, MANUAL, Config, format_override, walk
from sightsmith.core.contracts.search_space import Parameter, count
from sightsmith.core.contracts.tuner import AsynchronousTuner, SearchMethod, SearchSpace, Suggestion, Tuner
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.text import format_duration

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

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
    space: tuple[Parameter, ...]
    epochs: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0
    devices: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    choice: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def by_hand(cls, parsed: Sequence[Override]) -> SweepPlan:
        """All that is typed."""
        fixed, parameters = _split(parsed)
        return cls(tuple(fixed.values()), tuple(parameters.values()))

    @classmethod
    def searched(cls, parsed: Sequence[Override], config: DictConfig, loader: ConfigLoader, record: TunerRecord,
                 plugins: Plugins) -> SweepPlan:
        """What the tuner ``record`` searches, with what one run of it would be, measured. Raises UserError, for a space
        that does not depend on the data before these are looked at."""
        from sightsmith.engine.pipeline.start import plan  # torch: not needed to compose

        fixed, parameters = _split(parsed)
        auto = record.name == AUTO
        if auto and (taken := [parameter for parameter in parameters.values() if owned(parameter.name)]):
            raise UserError("tuner=auto chooses these:", problems=[Problem(str(parameter)) for parameter in taken],
                            hint="leave them out, or search with another tuner")
        common = {key: text for key, text in fixed.items()
                  if key == SHARING or key.partition(".")[0] not in ("tuner", "preference")}
        # Of each parameter any value that is there: that of the network decides on how fast a run is.
        probe = ["trainer.devices=1", *(fixed.values() if auto else [*common.values(), f"tuner={MANUAL}"]),
                 *(parameter.override(parameter.choices[0]) for parameter in parameters.values() if parameter.choices)]
        run = resolve(*without_hydra(loader.load_sweep_config(config, probe)), plugins)
        usual: Any = OmegaConf.to_container(config.tuner.space)
        space = _space(parse_space(usual, f"tuner.space of {record.name}"), fixed, parameters)
        if not auto:
            _ensure_searchable(space, config, record)
        begun = time.monotonic()
        planned = plan(run, plugins)  # what a run does before its first epoch
        start_seconds = time.monotonic() - begun
        settings = [f"tuner={MANUAL}", "dataset.folds=none", "trainer.devices=1",
                    f"trainer.precision={planned.precision}", f"trainer.memory_format={planned.memory_format}",
                    *(record.overrides if config.tuner.trials != 1 else ())]  # one run is compared with none
        common = {text.partition("=")[0]: text for text in settings} | common
        if planned.choice is not None:
            chosen = [Parameter(item.key, (), item.low, item.high, item.log) for item in planned.choice.space]
            space = _space(chosen, fixed, parameters)
            common |= _decided(planned.choice, run)
            run = planned.choice.applied(run)
        searched = {parameter.name for parameter in space}
        return cls(tuple(text for key, text in common.items() if key not in searched), tuple(space), planned.epochs,
                   planned.estimated_seconds / planned.trainings, start_seconds, planned.devices,
                   {key: value for key, _, value in walk(run) if key in searched},
                   tuple(planned.choice.rows()) if planned.choice else ())

    def tuner(self, config: DictConfig, record: TunerRecord) -> Tuner | AsynchronousTuner:
        """Raises UserError where it cannot search this space in so many runs."""
        if unknown := [key for key in config.tuner.options if key not in record.options]:
            raise UserError(f"tuner={record.name} has no such option:",
                            problems=[Problem(f"tuner.options.{key}{near(key, list(record.options))}")
                                      for key in unknown],
                            hint=f"it has {', '.join(record.options) or 'none'}")
        if record.searches:
            _ensure_searchable(self.space, config, record)
        return record.make(SearchSpace(
            space=self.space, trials=config.tuner.trials or count(self.space), epochs=self.epochs,
            seed=config.trainer.seed, parallel=parallel(config), given=self.given,
            devices=self.devices / config.tuner.runs_per_device,
            options=OmegaConf.to_container(config.tuner.options)))  # type: ignore[arg-type]

    def probes(self) -> list[Suggestion]:
        """Runs that between them have every choice, and both ends of every range."""
        values = {parameter.name: parameter.choices or (parameter.number(parameter.low),
                                                        parameter.number(parameter.high)) for parameter in self.space}
        usual = {name: found[0] for name, found in values.items()}
        return [Suggestion({**usual, name: value}) for name, found in values.items() for value in found]

    def overrides(self, suggestion: Suggestion, folder: Path) -> tuple[str, ...]:
        """What the run of ``suggestion`` is started with; its parent is in ``folder``."""
        values = [parameter.override(suggestion.values[parameter.name]) for parameter in self.space]
        pause = [] if suggestion.epochs is None else [f"trainer.pause_after_epoch={suggestion.epochs}"]
        parent = [] if suggestion.parent is None else [f"trainer.branch_from={quoted(folder / str(suggestion.parent))}"]
        return (*self.fixed, *values, *pause, *parent)

    def table(self, record: TunerRecord, tuner: SearchMethod) -> Table:
        """What is searched, and how long that is expected to take."""
        at_once = tuner.at_once
        table = Table("what", "value", title="Search", title_justify="left", show_header=False)
        table.add_row("tuner", f"{record.name}: {record.description}")
        for parameter in self.space:
            table.add_row(parameter.name, str(parameter).partition(": ")[2])
        times = tuner.epochs / self.epochs
        seconds = self.seconds * times + self.start_seconds * tuner.runs
        table.add_row("training", f"{tuner.epochs} epochs, {times:g} times those of a run, in {tuner.runs} runs, "
                                  f"{at_once} at a time")
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
    """How many runs the chosen launcher has at a time, as far as its configuration tells."""
    launcher = config.hydra.launcher
    number = launcher.get("n_jobs") or launcher.get("array_parallelism") or 1
    return int(number) if number > 0 else max((os.cpu_count() or 1) + 1 + int(number), 1)


def quoted(path: Path) -> str:
    """``path`` as an override's value, whatever characters it has."""
    return QuotedString(str(path), Quote.single).with_quotes()


def _decided(choice: Recommendation, config: Config) -> dict[str, str]:
    """By key, the overrides that make of ``config`` what was chosen."""
    own = {key: value for key, _, value in walk(config)}
    keys = {"network.name": "network"}
    return {(key := keys.get(item.key, item.key)): f"{key}={format_override(item.value).replace(' ', '')}"
            for item in choice.decisions if item.value != own[item.key]}


def _split(parsed: Sequence[Override]) -> tuple[dict[str, str], dict[str, Parameter]]:
    """By key, what is given once, as typed, and what sweeps; of a key that is typed twice the last."""
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
    """``parameters``, and those of ``known`` whose key is not set otherwise."""
    return [*(parameter for parameter in known if parameter.key not in (*fixed, *parameters)), *parameters.values()]


def _ensure_searchable(space: Sequence[Parameter], config: DictConfig, record: TunerRecord) -> None:
    """Raises UserError for an empty space, and for a number of trials beyond the limits."""
    trials, limits = config.tuner.trials, config.limits
    if not space:
        raise UserError(f"tuner={record.name} has nothing to search: every key of its space is given",
                        hint="leave one of them out, or type several values: hyper.learning_rate=0.001,0.01")
    if trials is None:
        if all(parameter.choices for parameter in space) and count(space) > limits.max_trials:
            sizes = " x ".join(f"{len(parameter.choices)} of {parameter.name}" for parameter in space)
            raise UserError(f"{sizes} are {count(space)} runs, and limits.max_trials is {limits.max_trials}",
                            hint=f"leave values out, or type limits.max_trials={count(space)}, or tuner=random")
    elif not (limits.min_trials <= trials <= limits.max_trials or record.name == AUTO and trials == 1):
        raise UserError(f"tuner.trials={trials} is not from {limits.min_trials} to {limits.max_trials}",
                        hint="type limits.max_trials or limits.min_trials if you mean it")
