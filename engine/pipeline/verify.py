"""``sightsmith verify``: compares a run with its lock file, and trains it again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from sightsmith.core.contracts.keys import format_override
from sightsmith.core.contracts.schema import PLATFORM, Config
from sightsmith.core.contracts.schema_values import check_values
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.digest import digest
from sightsmith.core.util.errors import Problem, UserError, listed
from sightsmith.core.util.reading import read_yaml
from sightsmith.core.util.text import format_metric
from sightsmith.engine.config.compose import compose, ensure_unlocked
from sightsmith.engine.config.model_card import HINT, read_card, restore_config
from sightsmith.engine.config.presets import choice_of, preset_checksum
from sightsmith.engine.config.run_plugins import ensure_plugins
from sightsmith.engine.config.unfinished import not_finished
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.start import start
from sightsmith.engine.runs import library_warnings
from sightsmith.engine.runs.bundle import all_tensors
from sightsmith.engine.runs.checkpoint import tensors_digest
from sightsmith.engine.runs.lockfile import PARTS, environment, read_lock
from sightsmith.engine.runs.published import locate_weights
from sightsmith.engine.runs.resume import planned_folds
from sightsmith.engine.runs.run_dir import FINISHED, RunDir, read_status
from sightsmith.engine.runs.run_files import read_overrides
from sightsmith.engine.runs.weights import file_digest

SAME, CHANGED, UNKNOWN = "same", "changed", "cannot be checked"
NEEDED = ("data", "weights")
"""Parts outside the run folder that a rerun needs unchanged."""


@dataclass(frozen=True)
class Check:
    """A part of the lock compared with the present. ``text`` says what changed, or why it cannot be checked."""

    part: str
    state: str
    text: str = ""


def check_run(path: Path, report: Callable[[str], None], plugins: Plugins) -> list[Check]:
    """Recompute every part of the lock of the finished run in ``path``. Raises UserError if there is none."""
    run = _finished(path)
    library_warnings.belongs_to(run.log)
    lock = read_lock(run.lock)

    def checks(recompute: Callable[[], Mapping[str, Any]], *parts: str) -> Iterator[Check]:
        try:
            found = recompute()
        except UserError as error:
            reason = " ".join([error.message, *(problem.message for problem in error.problems)])
            yield from (Check(part, UNKNOWN, reason) for part in parts)
        else:
            yield from (_compared(part, lock, found[part]) for part in parts)

    def data() -> dict[str, str]:
        dataset = check(_config(run, plugins), plugins, report)
        return {"data": dataset.data_digest, "split": dataset.split_digest}

    return [
        *checks(data, "data", "split"),
        *checks(lambda: {"weights": _starting_weights(_config(run, plugins), plugins)}, "weights"),
        *checks(lambda: {"config": digest(_content(run))}, "config"),
        *checks(lambda: {"preset": preset_checksum(_config(run, plugins).preset, plugins)}, "preset"),
        *checks(lambda: environment(plugins), "packages", "python", "platform"),
        *checks(lambda: {"bundle": tensors_digest(all_tensors(run.path))}, "bundle"),
    ]


def _compared(part: str, lock: Mapping[str, Any], now: Any) -> Check:
    was = lock[part]
    if was == now:
        return Check(part, SAME)
    if part in PARTS:
        return Check(part, CHANGED, PARTS[part])
    if part == "packages":
        return Check(part, CHANGED, ", ".join(
            f"{name} was {was.get(name, 'not there')} and is {now.get(name, 'not there')}"
            for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)))
    return Check(part, CHANGED, f"was {was} and is {now}")


def print_checks(checks: Iterable[Check]) -> None:
    for item in checks:
        print(f"{item.part:<8}  {item.state:<{len(UNKNOWN)}}  {item.text}".rstrip())


def closing(path: Path, checks: Sequence[Check], again: Rerun | None) -> str:
    """One sentence of what was compared, and with what result."""
    found = {state: [item.part for item in checks if item.state == state] for state in (SAME, CHANGED, UNKNOWN)}
    if len(found[SAME]) == len(checks):
        said = f"all {len(checks)} parts are as the lock file has them"
    else:
        said = f"of {len(checks)} parts, {len(found[SAME])} are as the lock file has them" + "".join(
            f", {len(parts)} {'has' if len(parts) == 1 else 'have'} changed ({', '.join(parts)})" if state == CHANGED
            else f", {len(parts)} cannot be checked ({', '.join(parts)})"
            for state, parts in found.items() if state != SAME and parts)
    if again is not None:
        other = "other weights" if again.differing else "the same weights, but other metrics"
        said += f"; training it again gave {'the same weights and metrics' if again.same else other}"
    return f"{path.name}: {said}"


@dataclass(frozen=True)
class Rerun:
    """A run compared with its rerun.

    ``differing`` are those of the ``tensors`` that are not bit-identical, each with its largest difference, the largest
    first; it is None if only one run has the tensor, or if shape or type differ.
    """

    run_dir: Path
    tensors: int
    differing: Mapping[str, float | None]
    score: str
    metrics: Mapping[str, float | None]
    metrics_again: Mapping[str, float | None]
    device: str
    device_again: str

    @property
    def same(self) -> bool:
        return not self.differing and self.metrics == self.metrics_again

    def lines(self) -> list[str]:
        lines = [f"Trained again: {self.run_dir}", "the same weights, bit for bit"]
        if self.differing:
            largest = next(iter(self.differing.values()))
            lines[1] = (f"{len(self.differing)} of {self.tensors} tensors differ, "
                        + ("some in shape or type" if largest is None else f"by at most {largest:.3g}")
                        + f": {listed(self.differing)}")
        lines.append(f"{self.score} {format_metric(self.metrics.get(self.score))} before, "
                     f"{format_metric(self.metrics_again.get(self.score))} now")
        if others := [name for name, value in self.metrics.items() if value != self.metrics_again.get(name)]:
            lines.append(f"metrics that differ: {listed(others)}")
        if self.device != self.device_again:
            lines.append(f"on {self.device} before, on {self.device_again} now")
        return lines

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "run_dir": str(self.run_dir), "same": self.same}


def train_again(path: Path, checks: Iterable[Check], plugins: Plugins) -> Rerun:
    """Train the run in ``path`` once more, as it was planned, into a folder of its own, and compare.

    Raises UserError where ``checks`` say that its data or starting weights changed, its configuration is no more what
    its preset or source locks, or it went on from another run; StoppedError and NonFiniteLossError as every run.
    """
    if gone := [item for item in checks if item.part in NEEDED and item.state == CHANGED]:
        raise UserError(f"The run {path} cannot be trained again:",
                        problems=[Problem(f"{item.part}: {item.text} changed since the run") for item in gone],
                        hint="restore them, or train a new run with `sightsmith train`")
    run = RunDir(path)
    config = _decided_again(_config(run, plugins), read_overrides(run), plugins)
    if config.trainer.branch_from is not None:
        raise UserError(f"The run {path} started from a checkpoint of {config.trainer.branch_from}, which has been "
                        "overwritten since: the run can be verified, but not trained again")
    if problems := check_values(config):
        raise UserError(f"{run.config} has values that cannot be used:", problems=problems)
    ensure_unlocked(config, {"preset": choice_of(config.preset), "base_run": config.base_run.path}, plugins)
    # Before hours of training.
    lock, weights, metrics = read_lock(run.lock), all_tensors(path), read_card(path)["metrics"]
    # A new benchmark could choose another mode.
    planned: dict[str, Any] = {key: str(lock[key]) for key in ("precision", "memory_format", "micro_batch", "devices")}
    planned |= {"pause_after_epoch": None, "time_budget": None}
    # What the recipe and the time budget led to is in the configuration.
    folds = planned_folds(run)[0]
    divided: dict[str, Any] = {"folds": str(folds or "none"), "repeats": config.dataset.repeats if folds else 1}
    trainer = replace(config.trainer, **planned, resume="false", dry_run=False)
    config = replace(config, recipe=PLATFORM, dataset=replace(config.dataset, **divided), trainer=trainer,
                     logger={})
    overrides = [*read_overrides(run),
                 *(f"dataset.{key}={format_override(value)}" for key, value in divided.items()),
                 *(f"trainer.{key}={format_override(value)}" for key, value in planned.items())]
    result = start(config, overrides, plugins)
    assert result is not None  # not a dry run
    again = RunDir(result.run_dir)
    lock_again = read_lock(again.lock)
    differing = {} if lock["bundle"] == lock_again["bundle"] else _differing(weights, all_tensors(again.path))
    return Rerun(again.path, len(weights), differing, plugins.task(config.task.name).score, metrics,
                 read_card(again.path)["metrics"], lock["device"], lock_again["device"])


def _decided_again(config: Config, overrides: Sequence[str], plugins: Plugins) -> Config:
    """``config`` with what the images decided of its channels as it was typed, so that they decide it again."""
    typed = compose(overrides, plugins).image
    return replace(config, image=replace(config.image, channels=typed.channels, rgb=typed.rgb, mean=typed.mean,
                                         std=typed.std))


def _differing(was: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> dict[str, float | None]:
    """As :attr:`Rerun.differing`."""
    found = {name: _largest_difference(was.get(name), now.get(name)) for name in sorted(was.keys() | now.keys())
             if not _same(was.get(name), now.get(name))}
    return dict(sorted(found.items(), key=lambda item: (item[1] is not None, -(item[1] or 0))))


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is not None and other is not None and tensors_digest({"": one}) == tensors_digest({"": other})


def _largest_difference(one: Tensor | None, other: Tensor | None) -> float | None:
    if one is None or other is None or (one.shape, one.dtype) != (other.shape, other.dtype):
        return None
    return (one.double() - other.double()).abs().max().item()


def _finished(path: Path) -> RunDir:
    run = RunDir(path)
    if not os.path.isfile(run.config):
        raise UserError(f"run={path} is not the folder of a run: it has no {run.config.name}",
                        hint="`sightsmith list runs` shows the runs")
    if read_status(run)["status"] != FINISHED:
        raise not_finished(path)
    return run


def _content(run: RunDir) -> Any:
    return read_yaml(run.config, hint=HINT)


def _config(run: RunDir, plugins: Plugins) -> Config:
    ensure_plugins(run.path, plugins)
    return restore_config(_content(run), run.config, plugins.tasks)


def _starting_weights(config: Config, plugins: Plugins) -> str | None:
    """The digest of the file of starting weights. Raises UserError if it is not on this machine."""
    path = locate_weights(plugins.network(config.network.name), config.network)
    if path is None:
        return None
    if not os.path.isfile(path):
        raise UserError(f"network.weights={config.network.weights}: the file {path} is not on this machine")
    return file_digest(path)
