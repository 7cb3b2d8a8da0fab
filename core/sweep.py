"""A sweep: a run for each combination of values, by the Hydra launcher that is chosen.

A run that fails stops no other. A sweep that was cut short goes on: finished runs are kept, started ones resumed.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from textwrap import indent
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override
from rich.table import Table

from sightsmith.core.compose import resolve, without_hydra
from sightsmith.core.errors import FailedRunsError, StoppedError, UserError
from sightsmith.core.files import write_atomic, write_json
from sightsmith.core.progress import console, figure
from sightsmith.core.rundir import ERROR, FINISHED, WAITING, RunFolder, read_status

CARD, TABLE = "sweep.json", "sweep.csv"
RESUME = "trainer.resume"
SERIAL = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's default launcher, which starts the next run whatever ended the last."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: its number, which is its folder's name, and what it is started with."""

    number: int
    overrides: tuple[str, ...]
    swept: Mapping[str, str]
    """the part of ``overrides`` in which the runs differ"""


class Sweep:
    """The runs of one ``config``, which is what all of them have, in a folder of their own."""

    def __init__(self, config: DictConfig, context: HydraContext, task_function: TaskFunction) -> None:
        self._loader, self._config = context.config_loader, config
        given = OmegaConf.to_container(config.hydra.overrides)
        assert isinstance(given, dict)
        self._given = [text for text in (*given["task"], *given["hydra"])
                       if not text.lstrip("+").startswith((RESUME, "hydra.mode="))]
        self._launcher: Launcher = HydraPlugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config)

    def run(self, overrides: list[str]) -> list[JobReturn]:
        """Run what ``overrides`` ask for. Raises UserError before the first run for a combination that cannot be
        composed or is locked; FailedRunsError after the last where some have failed; StoppedError."""
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(overrides)
        resume = next((str(item.value()) for item in parsed if item.key_or_group == RESUME), "false")
        trials = list(combinations([item for item in parsed if item.key_or_group != RESUME]))
        self._refuse(trials)
        if self._config.trainer.dry_run:
            return [result for trial in trials for result in self._launcher.launch([list(trial.overrides)],
                                                                                   initial_job_idx=trial.number)]
        folder = self._folder(resume, trials)
        returns: list[JobReturn] = []
        failures: dict[int, Exception] = {}
        try:
            for batch in self._batches(folder, trials):
                done = self._launcher.launch([self._started(folder, trial) for trial in batch],
                                             initial_job_idx=batch[0].number)
                for trial, result in zip(batch, done, strict=True):
                    if failure := _failure(result):
                        failures[trial.number] = failure
                returns += done
        except (StoppedError, KeyboardInterrupt):
            console().print(f"The sweep is stopped. Go on with:\n  {self._continuation(folder)}")
            raise
        finally:
            summary = Summary(folder, trials, {number: _said(error) for number, error in failures.items()})
            summary.write()
            console().print(summary.table())
        if failures:
            raise FailedRunsError(
                f"{len(failures)} of {len(trials)} runs failed:\n{_by_reason(failures)}\n"
                f"Try these again with:\n  {self._continuation(folder)}",
                exit_code=2 if all(isinstance(error, UserError) for error in failures.values()) else 1)
        return returns

    def _refuse(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            resolve(*without_hydra(self._loader.load_sweep_config(self._config, list(trial.overrides))))

    def _folder(self, resume: str, trials: Sequence[Trial]) -> Path:
        """The sweep's folder: a new one, or that of the sweep to go on with."""
        card = [list(trial.overrides) for trial in trials]
        folder = Path(self._config.hydra.sweep.dir).expanduser().resolve()
        if resume.lower() == "false":
            if (folder / CARD).exists():
                raise UserError(f"{folder} holds a sweep already", hint=f"type {RESUME}={folder} to go on with it")
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / CARD, card)
        else:
            folder = (_newest(folder.parent, card) if resume.lower() == "true"
                      else Path(resume).expanduser().resolve())
            if _card(folder) != card:
                raise UserError(f"{RESUME}={resume}: {folder} is not a sweep over the same values",
                                hint=f"type what it was started with, or leave {RESUME} out")
        with flag_override(self._config, ["struct", "readonly"], [False, False]):
            self._config.hydra.sweep.dir = str(folder)
            self._config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")
        return folder

    def _batches(self, folder: Path, trials: Sequence[Trial]) -> Iterator[list[Trial]]:
        """The runs that are not finished, in stretches of consecutive numbers, as launchers count; one by one where
        they run one after the other, so that a stop is a stop."""
        serial = self._config.hydra.launcher._target_ == SERIAL
        open_ones = [trial for trial in trials if _status(folder, trial)["status"] != FINISHED]
        for _, batch in groupby(enumerate(open_ones), key=lambda pair: pair[1].number - (0 if serial else pair[0])):
            yield [trial for _, trial in batch]

    @staticmethod
    def _started(folder: Path, trial: Trial) -> list[str]:
        run = RunFolder(folder / str(trial.number))
        return [*trial.overrides, *([f"{RESUME}={quoted(run.path)}"] if run.config.is_file() else [])]

    def _continuation(self, folder: Path) -> str:
        return "sightsmith train --multirun " + shlex.join([*self._given, f"{RESUME}={folder}"])


def combinations(parsed: Sequence[Override]) -> Iterator[Trial]:
    """A trial for each combination of the values that ``parsed`` sweeps, the last one fastest.

    Raises UserError for a sweep over an interval, of which there are too many.
    """
    axes: dict[str, list[str]] = {}
    swept = []
    for override in parsed:
        key = override.get_key_element()
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise UserError(f"{override.input_line} has no end of values", hint=f"list them: {key}=A,B")
            axes[key] = list(override.sweep_string_iterator())
            swept.append(key)
        else:
            axes[key] = [override.get_value_element_as_str()]
    for number, values in enumerate(product(*axes.values())):
        chosen = dict(zip(axes, values, strict=True))
        overrides = tuple(key if key.startswith("~") else f"{key}={value}" for key, value in chosen.items())
        yield Trial(number, overrides, {key.lstrip("+"): chosen[key] for key in swept})


def quoted(path: Path) -> str:
    """``path`` as an override's value, whatever characters it has."""
    return QuotedString(str(path), Quote.single).with_quotes()


class Summary:
    """What has become of the runs of a sweep, for people and as CSV."""

    def __init__(self, folder: Path, trials: Sequence[Trial], failures: Mapping[int, str]) -> None:
        self._folder = folder
        self._keys = list(trials[0].swept)
        self._rows = [(trial, status | ({"status": ERROR, "message": failures[trial.number]}
                                        if trial.number in failures else {}))
                      for trial in trials for status in [_status(folder, trial)]]

    def write(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["run", *self._keys, "status", "score", "score_low", "score_high", "device_hours", "message"])
        writer.writerows([trial.number, *(trial.swept[key] for key in self._keys),
                          *(status.get(key, "") for key in ("status", "score", "score_low", "score_high",
                                                            "device_hours", "message"))]
                         for trial, status in self._rows)
        write_atomic(self._folder / TABLE, text.getvalue())

    def table(self) -> Table:
        """The best run is marked."""
        table = Table("run", *self._keys, "status", "score", title=f"Sweep {self._folder}", title_justify="left")
        scores = [status.get("score") for _, status in self._rows]
        best = max((score for score in scores if score is not None), default=None)
        for (trial, status), score in zip(self._rows, scores, strict=True):
            shown = "" if score is None else figure(score) + (" best" if score == best else "")
            table.add_row(str(trial.number), *(trial.swept[key] for key in self._keys), status["status"], shown)
        return table


def _status(folder: Path, trial: Trial) -> dict[str, Any]:
    run = RunFolder(folder / str(trial.number))
    return read_status(run) if run.status.is_file() else {"status": WAITING}


def _card(folder: Path) -> Any:
    try:
        return json.loads((folder / CARD).read_text())
    except (OSError, ValueError):
        return None


def _newest(output_dir: Path, card: Any) -> Path:
    for path in sorted(output_dir.glob(f"*/{CARD}"), reverse=True):
        if _card(path.parent) == card:
            return path.parent
    raise UserError(f"{RESUME}=true: {output_dir} holds no sweep over the same values",
                    hint=f"leave {RESUME} out to start, or name the sweep's folder")


def _failure(result: JobReturn) -> Exception | None:
    """Why a run failed, if it did. Raises StoppedError where it was stopped: that is meant for the whole sweep."""
    try:
        _ = result.return_value
    except StoppedError:
        raise
    except Exception as error:  # whatever ended the run, the others go on
        return error
    return None


def _said(error: Exception) -> str:
    return error.text() if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _by_reason(failures: Mapping[int, Exception]) -> str:
    """Each reason once, with the runs that failed for it."""
    numbers: dict[str, list[int]] = {}
    for number, error in failures.items():
        numbers.setdefault(_said(error), []).append(number)
    return "\n".join(indent(f"run {', '.join(map(str, those))}: {reason}", "  ") for reason, those in numbers.items())
