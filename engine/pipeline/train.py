"""The steps of one run, in the order in which they happen, in each rank."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from omegaconf import OmegaConf

from sightsmith.core.config.presets import preset_checksum
from sightsmith.core.contracts.callback import Callback, TrainState
from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.contracts.plan import ComputeMode, Plan, estimate_seconds
from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.schema import AUTO, Config
from sightsmith.core.plugins.manager import Plugins, load_plugins
from sightsmith.core.util.console import console
from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.core.util.files import make_folder, write_atomic, write_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.data.tiling import tiled
from sightsmith.engine.pipeline import forgetting
from sightsmith.engine.pipeline.cross_validation import choose_folds, cross_validate
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.recommend import DatasetStatistics, recommend
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.report.report import write_report
from sightsmith.engine.runs.bundle import save_bundle
from sightsmith.engine.runs.checkpoint import load_tree, tensors_digest
from sightsmith.engine.runs.lockfile import add_bundle, make_lock
from sightsmith.engine.runs.resume import clone_checkpoint, ensure_resumable, find_branch_point, find_run, planned_mode
from sightsmith.engine.runs.run_dir import ERROR, FINISHED, RUNNING, STOPPED, RunDir, Status
from sightsmith.engine.runs.weights import ensure_complete_weights, ensure_preset_weights
from sightsmith.engine.training import distributed as ranks
from sightsmith.engine.training.benchmark import benchmark, candidates
from sightsmith.engine.training.bootstrap import interval
from sightsmith.engine.training.callbacks import LoggerReporter, ProgressReporter, StatusReporter
from sightsmith.engine.training.session import Training
from sightsmith.engine.training.trainer import seed_everything

log = logging.getLogger("sightsmith")


class Job:
    """The steps of one run and what they share. Every rank has one."""

    def __init__(self, config: Config, overrides: Sequence[str], sweep_folder: Path | None, state: PartialState,
                 ) -> None:
        self.config, self.overrides, self.sweep_folder, self.state = config, list(overrides), sweep_folder, state
        self.plugins = load_plugins()
        self.record = self.plugins.task(config.task.name)
        self.console = console()
        self.console.quiet = not state.is_main_process
        self.details = console()
        """for what all runs of a sweep have, or their reports tell"""
        self.details.quiet = self.console.quiet or sweep_folder is not None and not config.trainer.dry_run

    def go(self) -> Result | None:
        """Train; None after a dry run, and where ``trainer.pause_after_epoch`` comes before the end."""
        resumed = self.prepare()
        if self.config.trainer.dry_run:
            return None
        self.run = ranks.on_main(self.state, lambda: self._open_folder(resumed))
        return self._train()

    def prepare(self) -> RunDir | None:
        """Everything up to the plan; the run to go on with, where there is one."""
        config = self.config
        network = self.plugins.network(config.network.name)
        if network.task != config.task.name:
            raise UserError(f"The network {network.name!r} is for {network.task}, not for {config.task.name}.",
                            hint=f"`sightsmith list networks --task {config.task.name}` shows what fits")
        resumed = ranks.on_main(self.state, lambda: find_run(config))
        self.dataset = ranks.on_main(self.state, self._check)
        self.choice = self._choose()
        if self.choice is not None:
            self.choice.show(self.details)
            self.config = config = self.choice.applied(config)
            network = self.plugins.network(config.network.name)
        index = self.dataset.index
        # Rank 0 imports first: yapf, which mmengine imports, writes a cache then that is not safe to read meanwhile.
        ranks.on_main(self.state, lambda: bool(self.record.build()))
        self.task = self.record.build()(self.record, config, network, index.classes, index.multi_label)
        self.whole, self.dataset = self.dataset, self._tiled(self.dataset)
        seed_everything(config.trainer.seed)
        self.model, self.loaded = self.task.build_model()
        if self.loaded is not None:
            for line in self.loaded.lines():
                self.details.print(line)
            if config.base_run.path is not None:
                ensure_complete_weights(self.loaded, config)
        ensure_preset_weights(self.loaded, config.preset)
        if config.hyper.backbone_lr_scale != 1 and not self.task.backbone(self.model):
            raise UserError(f"hyper.backbone_lr_scale={config.hyper.backbone_lr_scale:g}: the task {config.task.name} "
                            f"does not "
                            "say which layers are the backbone", hint="leave it out")
        self.training = Training(config, self.task, self.model, self.dataset.train, self.dataset.validation, self.state)
        self.plan = self._plan(ranks.on_main(self.state, lambda: planned_mode(resumed) if resumed else None))
        if self.state.is_main_process:
            self.details.print(self.plan.table())
        return resumed

    def _check(self) -> CheckedDataset:
        dataset = check(self.config, self.plugins, self.details.print)
        self.plugins.dataset_checked(dataset=dataset)
        for problem in dataset.problems:
            if problem.severity == "warning":
                self.details.print(f"warning: {problem}")
        dataset.raise_for_errors()
        return dataset

    def _choose(self) -> Recommendation | None:
        """What tuner=auto makes of the data and the preferences; the same on every rank."""
        if self.config.tuner.name != AUTO:
            return None
        return recommend(self.config, self.record, self.plugins.networks.values(), DatasetStatistics.of(self.dataset))

    def _tiled(self, dataset: CheckedDataset) -> CheckedDataset:
        side = self.config.dataset.tile
        if side is None:
            return dataset
        if dataset.index.annotation == "labels":
            raise UserError(f"dataset.tile={side}: labels are those of a whole image, not of its tiles",
                            hint="leave dataset.tile out")
        train, validation = (tiled(part, dataset.infos, side, self.task.tile_overlap(training))
                             for part, training in ((dataset.train, True), (dataset.validation, False)))
        return replace(dataset, train=train, validation=validation)

    def _plan(self, planned: ComputeMode | None) -> Plan:
        """The same on every rank. A run that goes on keeps its ``planned`` mode: measured again, another could win."""
        config, hyper, trainer = self.config, self.config.hyper, self.config.trainer
        passes = [part for update in self.training.sampler.start(0) for part in update.micro_batches]
        wanted = (planned,) if planned else candidates(
            trainer.precision, trainer.memory_format, self.state.device)
        measured = benchmark(self.task, self.model, self.training.train_data, passes, hyper, wanted, self.state.device,
                           partial(ranks.slowest, self.state))
        trial = ranks.on_main(self.state, lambda: measured)
        images = min(hyper.batch_size, len(self.dataset.train))
        speeds = ", ".join(f"{mode} {1000 * seconds:.0f} ms" for mode, seconds in trial.micro_batch_seconds.items())
        workers = self._workers()
        pick = "measured" if len(wanted) > 1 else "as the run was planned" if planned else "as asked"
        folds, why = choose_folds(self.dataset, config.dataset.folds)
        return Plan(
            name=config.name, task=config.task.name, network=config.network.name, weights=config.network.weights,
            input_size=self.task.input_size(), classes=len(self.dataset.index.classes),
            train_images=len(self.dataset.train), validation_images=len(self.dataset.validation), epochs=hyper.epochs,
            steps_per_epoch=self.training.sampler.steps_per_epoch, batch_size=hyper.batch_size,
            gradient_accumulation=trainer.gradient_accumulation, devices=self.state.num_processes,
            device=_device_name(self.state.device),
            optimizer=f"{hyper.optimizer}, learning rate {hyper.learning_rate:g} {hyper.schedule}, "
                      f"weight decay {hyper.weight_decay:g}, momentum {hyper.momentum:g}",
            precision=trial.mode.precision, memory_format=trial.mode.memory_format,
            mode_reason=f"{pick}: {speeds} a pass", num_workers=workers,
            folds=folds, repeats=config.dataset.repeats, folds_reason=why,
            estimated_seconds=(1 + folds * config.dataset.repeats) * estimate_seconds(
                micro_batch_seconds=trial.micro_batch_seconds[trial.mode], load_seconds=trial.load_seconds,
                workers=workers, batch_images=images, train_images=len(self.dataset.train),
                validation_images=len(self.dataset.validation), epochs=hyper.epochs),
            estimated_memory=trial.memory, choice=self.choice)

    def _workers(self) -> int:
        if self.config.trainer.num_workers != "auto":
            return int(self.config.trainer.num_workers)
        if self.state.device.type == "cpu":
            return 0  # the training itself has every core busy
        return min(8, (os.cpu_count() or 1) // self.state.num_processes)

    def _open_folder(self, resumed: RunDir | None) -> RunDir:
        lock = make_lock(asdict(self.config), data=self.dataset.data_digest, split=self.dataset.split_digest,
                         weights=self.loaded.digest if self.loaded else None,
                         preset=preset_checksum(self.config.preset, self.plugins), plan=self.plan.to_json(),
                         plugins=self.plugins)
        if resumed is not None:
            ensure_resumable(resumed, self.config, lock)
            return resumed
        parent = find_branch_point(self.config, lock)
        if self.sweep_folder is not None:
            make_folder(self.sweep_folder)
            run = RunDir(self.sweep_folder)
        else:
            run = RunDir.create(Path(self.config.output_dir).expanduser().resolve(), self.config.name)
        if parent is not None:
            clone_checkpoint(parent, run)
        write_atomic(run.overrides, OmegaConf.to_yaml(OmegaConf.create(self.overrides)))
        write_json(run.lock, lock)
        write_json(run.plan, self.plan.to_json())
        write_json(run.data, describe(self.whole))
        write_atomic(run.config, OmegaConf.to_yaml(OmegaConf.structured(self.config)))
        return run

    def _train(self) -> Result | None:
        if not self.state.is_main_process:
            return self._fit_and_report(None)
        status = Status(self.run, devices=self.state.num_processes, epochs=self.config.hyper.epochs)
        handler = logging.FileHandler(self.run.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            status.update(status=RUNNING)
            log.info("run %s: %s", self.run.path, shlex.join(self.overrides))
            self.plugins.before_run(plan=self.plan, run_dir=self.run.path)
            result = self._fit_and_report(status)
            if result is None:
                return None
            score = self.task.score
            status.end(FINISHED, progress=1.0, score=result.metrics[score], score_low=result.metrics[f"{score}_low"],
                       score_high=result.metrics[f"{score}_high"])
            self.plugins.after_run(run_dir=self.run.path, metrics=result.metrics)
            return result
        except (KeyboardInterrupt, StoppedError) as stop:
            self.console.print(f"Stopped. Go on with:\n  {self._continuation()}")
            self._failed(status, STOPPED, "stopped by a signal", stop)
            raise
        except BaseException as error:
            log.exception("the run failed")
            self._failed(status, ERROR, f"{type(error).__name__}: {error}", error)
            raise
        finally:
            log.removeHandler(handler)
            handler.close()

    def _failed(self, status: Status, state: str, message: str, error: BaseException) -> None:
        status.end(state, message)
        try:
            self.plugins.on_run_error(run_dir=self.run.path, error=error)
        except Exception:
            log.exception("a plugin failed in sightsmith_on_run_error")

    def _continuation(self) -> str:
        kept = [override for override in self.overrides if not override.lstrip("+").startswith("trainer.resume")]
        return "sightsmith train " + shlex.join([*kept, f"trainer.resume={self.run.path}"])

    @contextmanager
    def _reporters(self, status: Status | None, training: Training, epochs: int, number: int = 0,
                   ) -> Iterator[list[Callback]]:
        """The callbacks of the run's training, or of the fold of this number: on rank 0, which has a ``status``."""
        if status is None:
            yield []
            return
        updates, trainings = training.sampler.steps_per_epoch, self.plan.trainings
        with ExitStack() as stack:
            callbacks: list[Callback] = []
            if number == 0:
                loggers = []
                for name, options in self.config.logger.items():
                    loggers.append(self.plugins.logger(name).build()(self.run.path, options or {}))
                    stack.callback(loggers[-1].close)
                callbacks = [LoggerReporter(loggers, updates), _HookReporter(self.plugins, self.run.path)]
            progress = stack.enter_context(ProgressReporter(
                epochs=epochs, updates=updates, console=self.console, score=self.task.score,
                batch_images=len(training.train) / updates, title=f"fold {number}/{trainings - 1}  " if number else ""))
            yield [progress, StatusReporter(status, updates, epochs, number, trainings), *callbacks]

    def _fit_and_report(self, status: Status | None) -> Result | None:
        """Train, cross-validate, and on rank 0, which has a ``status``, write the bundle and the report; None where it
        pauses before the end."""
        fitted = self._fit(status)
        if fitted is None:
            return None
        best, outcomes, history = fitted
        metrics, score = self.task.metrics(outcomes), self.task.score
        trust = ranks.on_main(self.state, lambda: interval(
            self.task.bootstrap_score(outcomes), self.dataset.validation, self.config.trainer.seed))
        metrics |= {f"{score}_low": trust.low, f"{score}_high": trust.high}
        self.console.print(f"{score} {format_metric(metrics[score])}, {trust}")
        scores, sections = [("validation", metrics[score], trust)], []
        if self.plan.folds:
            crossed = cross_validate(self.config, self.task, self.dataset, self.plan, best["epoch"], self.run,
                                     self.state, self._tiled, partial(self._reporters, status))
            self.console.print(f"Cross-validation: {crossed}")
            metrics |= crossed.metrics()
            scores.append(("cross-validation", crossed.score, crossed.interval))
            sections.append(crossed.section())
        if self.state.is_main_process:
            save_bundle(self.run, self.task, best["model"], metrics)
            add_bundle(self.run.lock, tensors_digest(best["model"]))
            if self.config.base_run.path is not None:
                sections.append(self._old_classes())
            write_report(self.run, self.task, self.plan, self.dataset, history, outcomes, metrics, best["epoch"],
                         scores, sections)
        return Result(self.run.path, metrics, self.task.classes, self.plugins)

    def _fit(self, status: Status | None) -> tuple[dict[str, Any], list[SampleResult], list[dict[str, Any]]] | None:
        """The best checkpoint, its outcomes on the validation part, and the history of all epochs; None where it pauses
        before the end."""
        with self._reporters(status, self.training, self.config.hyper.epochs) as callbacks:
            trainer = self.training.trainer(self.run, self.plan, callbacks)
            if status is not None:
                status.update(epoch=trainer.state.epoch, score=trainer.state.best_score)
            trainer.fit(self.config.trainer.pause_after_epoch)
            self.state.wait_for_everyone()
            if not trainer.finished:
                if status is not None:
                    self.details.print(f"Paused after epoch {trainer.state.epoch}. Go on with:\n  "
                                       f"{self._continuation()}")
                    status.end(STOPPED, f"paused after epoch {trainer.state.epoch}", paused=True)
                return None
            best = load_tree(self.run.best)
            outcomes = trainer.best_outcomes
            if outcomes is None:
                trainer.eval_model.load_state_dict(best["model"])
                outcomes = trainer.evaluate()
        return best, outcomes, trainer.history

    def _old_classes(self) -> Section:
        """The scores of the classes that the base run knew, before and after, printed and for the report."""
        config = self.config
        scores = forgetting.old_class_scores(
            Result.load(str(config.base_run.path), self.plugins), Result.load(self.run.path, self.plugins),
            config.network.renamed_classes, self.dataset.validation, self.state.device)
        before, after = forgetting.means(scores)
        name = self.task.class_score
        self.console.print(f"Old classes: {name} {format_metric(before)} of the base run, {format_metric(after)} "
                           f"after retraining "
                           f"(mean of {len(scores)} classes)")
        return forgetting.section(scores, name)


class _HookReporter:
    """A callback of the loop: tells the plugins of each epoch."""

    def __init__(self, plugins: Plugins, run_dir: Path) -> None:
        self._plugins, self._run_dir = plugins, run_dir

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        pass

    def on_validation(self, done: int, batches: int) -> None:
        pass

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        self._plugins.after_epoch(run_dir=self._run_dir, epoch=state.epoch, metrics=metrics)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads of {os.cpu_count()} cores)"
