"""The training loop: one file, top to bottom. Accelerate wraps the model, everything else is here.

Everything random in an optimizer step is drawn from (seed, epoch, step, rank), so a run that resumes from a checkpoint
sees exactly what an uninterrupted one does, and a checkpoint needs no generator's state.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sightsmith.core.contracts.results import Model, SampleResult
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import StoppedError
from sightsmith.engine.runs.checkpoint import load_tree
from sightsmith.engine.runs.resources import shortage_explained
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training.distillation import Distillation
from sightsmith.engine.training.distributed import any_rank, share_buffers
from sightsmith.engine.training.losses import mean_losses
from sightsmith.engine.training.memory import Buffers, each_batch, halve_micro_batch, retried_with_less
from sightsmith.engine.training.optim import (
    MovingAverage,
    build_optimizer,
    freeze,
    is_plateau,
    learning_rate,
    load_state,
    set_learning_rate,
)
from sightsmith.engine.training.precision import in_float32
from sightsmith.engine.training.sampler import EpochSampler, EvaluationSampler, OptimizerStep
from sightsmith.engine.training.saving import CheckpointWriter
from sightsmith.engine.training.state import Callback, TrainState, finished_epochs
from sightsmith.engine.training.stop_signal import StopSignal
from sightsmith.engine.training.watchdog import Watchdog

CHECK_EVERY = 10
"""Optimizer steps between two reads of the losses on a GPU and of other ranks' flags: each is a synchronization."""


def seed_everything(*entropy: int) -> None:
    """Seed Python, NumPy and torch from all of ``entropy``."""
    value = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


class Trainer:
    """Trains one model. Every rank has one; ``run`` is written on rank 0 only."""
    def __init__(self, *, accelerator: Accelerator, task: Task, model: Model, config: Config, sampler: EpochSampler,
                 train_loader: DataLoader[Any], validation_loader: DataLoader[Any], score: str, run: RunDir,
                 callbacks: Sequence[Callback] = (), memory_format: torch.memory_format = torch.contiguous_format,
                 teacher: Model | None = None, micro_batch: int | None = None) -> None:
        self.accelerator, self.task, self.config = accelerator, task, config
        self.hyper, self.seed = config.hyper, config.trainer.seed
        self.sampler, self.train_loader, self.validation_loader = sampler, train_loader, validation_loader
        self.score, self.run, self.callbacks = score, run, callbacks
        self.state = TrainState(micro_batch=micro_batch or config.hyper.batch_size)
        self.history: list[dict[str, Any]] = []
        self.best_results: list[SampleResult] | None = None
        """of the best epoch, if this process has trained it"""
        model.to(accelerator.device)
        nn.Module.to(model, memory_format=memory_format)  # a network's own `to` may only take a device
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self.backbone = task.backbone(model)
        self.frozen = self.backbone if self.hyper.backbone_lr_scale == 0 else ()
        freeze(self.frozen)
        # Before `prepare`, which patches forward: the average must be a plain copy.
        self.ema = MovingAverage(model, self.hyper.ema_decay) if self.hyper.ema_decay else None
        self.distillation = None
        if teacher is not None:
            teacher.to(accelerator.device)
            self.distillation = Distillation(task, model, teacher, config.base_run.distillation)
        if config.trainer.compile:
            model.compile()
        self.unwrapped, self._buffers = model, Buffers(model)
        self.model, self.optimizer = accelerator.prepare(model, build_optimizer(model, self.hyper, self.backbone))
        self._pending: list[tuple[int, list[tuple[dict[str, Tensor], int]]]] = []
        self._saver = CheckpointWriter(run, config.trainer.checkpoint_minutes, writer=accelerator.is_main_process)
        self._stop = StopSignal()
        self._watchdog = Watchdog(config.trainer.watchdog_minutes if accelerator.num_processes > 1 else 0,
                                  accelerator.process_index)

    @property
    def eval_model(self) -> Model:
        """The model that is validated and saved: the moving average of the weights if there is one."""
        return self.unwrapped if self.ema is None else self.ema.module

    def fit(self, epochs: int | None = None) -> TrainState:
        """Train to the end or only until epoch ``epochs``, from the start or where :meth:`resume` has left off.

        Raises StoppedError after a signal and NonFiniteLossError; both leave a usable last checkpoint.
        """
        begun = self.state.epoch
        with self._stop, self._watchdog:
            while not self.finished and (epochs is None or self.state.epoch < epochs):
                started = time.monotonic()
                train_loss = self.train_epoch()
                results = self.evaluate()
                metrics = self.task.metrics(results) if results else {}  # a refit has no validation images
                self.state.seconds += time.monotonic() - started
                self._finish_epoch(train_loss, metrics, results)
            if not self.finished and self.state.epoch > begun:  # paused
                self.checkpoint()
        return self.state

    def train_epoch(self) -> float:
        """Train the rest of the current epoch; returns the mean training loss over its images on all ranks."""
        state = self.state
        self.unwrapped.train()
        freeze(self.frozen)
        nn.ModuleList(self.resting).eval()
        self._buffers.save()
        while state.step < self.sampler.steps_per_epoch:
            with retried_with_less(lambda: self._shrink(f"in optimizer step {state.step + 1}")):
                self._train_steps()
        self._flush_losses()
        sums = torch.tensor([state.loss_sum, state.images], dtype=torch.float64, device=self.accelerator.device)
        total, images = self.accelerator.reduce(sums, "sum").tolist()
        return total / images

    def _train_steps(self) -> None:
        """The optimizer steps of the current epoch that remain."""
        self._buffers.restore()  # to before a step that ran out of memory
        steps = self.sampler.start(self.state.epoch, skip=self.state.step, micro_batch=self.state.micro_batch)
        batches = iter(self.train_loader)
        for step in steps:
            self._optimizer_step(step, batches)
            self._buffers.save()
            stop, due = self._poll_signals()
            if stop or due:
                self.checkpoint()
            if stop:
                raise StoppedError

    def _shrink(self, where: str) -> None:
        """Go on with half as many images per forward pass."""
        halve_micro_batch(self.state, where, self.task.network.name, self.accelerator, self.run.path)
        for callback in self.callbacks:
            callback.on_warning(self.state.warnings[-1])

    def _optimizer_step(self, step: OptimizerStep, batches: Iterator[dict[str, Any]]) -> None:
        """One optimizer step. The gradient is that of the mean over the step's images, however they are spread over
        micro-batches and ranks: each micro-batch weighs as much as its share of the images."""
        state, accelerator = self.state, self.accelerator
        seed_everything(self.seed, state.epoch, state.step, accelerator.process_index)
        done = state.epoch * self.sampler.steps_per_epoch + state.step
        set_learning_rate(self.optimizer, learning_rate(self.hyper, done, self.sampler.steps_per_epoch,
                                                        state.plateaus))
        losses: list[tuple[dict[str, Tensor], int]] = []
        for number, part in enumerate(step.micro_batches, 1):
            where = f"epoch {state.epoch + 1}, optimizer step {state.step + 1}, micro-batch {number}"
            self._watchdog.hear(f"{where}, loading images")
            batch = self.unwrapped.data_preprocessor(next(batches), True)
            self._watchdog.hear(f"{where}, computing")
            last = number == len(step.micro_batches)
            with contextlib.nullcontext() if last else accelerator.no_sync(self.model):
                found = self.model(**batch, mode="loss")
                if self.distillation is not None:
                    with accelerator.autocast():
                        found |= self.distillation.losses(batch["inputs"])
                loss, parts = self.unwrapped.parse_losses(found)
                if number == 1:
                    # Not after the step: backward reuses the memory that this frees.
                    self.optimizer.zero_grad()
                # DDP averages over ranks, so the weight is multiplied by their number.
                accelerator.backward(loss * (part.count * accelerator.num_processes / step.total))
            losses.append(({name: value.detach() for name, value in parts.items()}, part.count))
        with shortage_explained():  # and not retried: half an update cannot be taken back
            nn.ModuleList(self.resting).zero_grad()  # not by requires_grad, which DistributedDataParallel reads once
            if self.hyper.clip_grad_norm is not None:
                accelerator.clip_grad_norm_(self.model.parameters(), self.hyper.clip_grad_norm)
            self.optimizer.step()
            if self.ema is not None:
                self.ema.update_parameters(self.unwrapped)
        self._pending.append((state.step, losses))
        state.step += 1
        if accelerator.device.type == "cpu" or state.step % CHECK_EVERY == 0:
            self._flush_losses()

    def _flush_losses(self) -> None:
        """Read the losses since the last call; raises NonFiniteLossError at the first that is not finite."""
        rate = self.optimizer.param_groups[0]["lr"]
        for step, losses in self._pending:
            images = sum(count for _, count in losses)
            mean = mean_losses(losses, f"epoch {self.state.epoch + 1}, optimizer step {step + 1}", rate)
            self.state.loss_sum += mean["loss"] * images
            self.state.images += images
            for callback in self.callbacks:
                callback.on_step(self.state, mean, rate)
        self._pending.clear()

    @torch.no_grad()
    def evaluate(self, *, final: bool = False) -> list[SampleResult]:
        """The results of the whole validation set, sorted by sample, on every rank; ``final`` ones in fp32."""
        share_buffers(self.accelerator, self.unwrapped, *([self.ema] if self.ema else []))
        model, images = self.eval_model.eval(), cast(EvaluationSampler, self.validation_loader.batch_sampler).size
        results: list[SampleResult] = []

        def step(batch: dict[str, Any]) -> list[SampleResult]:
            self._watchdog.hear(f"epoch {self.state.epoch + 1}, validation image {len(results) + 1}")
            with in_float32(model) if final else self.accelerator.autocast():
                return self.task.evaluation_step(model, batch)

        for found in each_batch(self.validation_loader, step, lambda: self.state.micro_batch,
                                partial(self._shrink, "in validation")):
            results += found
            for callback in self.callbacks:
                callback.on_validation(len(results), images)
        if self.accelerator.num_processes > 1:
            results = gather_object(results)
        return sorted(results, key=lambda result: result["index"])

    def _finish_epoch(self, train_loss: float, metrics: dict[str, float | None], results: list[SampleResult]) -> None:
        state = self.state
        state.epoch, state.step, state.loss_sum, state.images = state.epoch + 1, 0, 0.0, 0
        loss, score = metrics.get("loss"), metrics.get(self.score)
        lower = loss is not None and loss < state.best_validation_loss
        better = score is not None and (state.best_score is None or score > state.best_score)
        state.best_validation_loss = loss if loss is not None and lower else state.best_validation_loss
        # The score counts too: a detector that finds nothing yet has a low loss.
        state.epochs_without_improvement = 0 if lower or better else state.epochs_without_improvement + 1
        state.plateaus += is_plateau(self.hyper, state.epochs_without_improvement)
        if state.best_epoch == 0 or better:
            state.best_score, state.best_epoch = score, state.epoch
            self.best_results = results
            self._saver.keep_best(self.eval_model, epoch=state.epoch, classes=list(self.task.classes), metrics=metrics)
        entry = {"epoch": state.epoch, "train_loss": train_loss, **metrics, "seconds": round(state.seconds, 3),
                 "learning_rate": self.optimizer.param_groups[0]["lr"]}
        self.history.append(entry)
        if self.accelerator.is_main_process:
            self.run.write_metrics(self.history)
        if any_rank(self.accelerator, self._saver.is_due(after_epoch=True))[0] or self.finished:
            self.checkpoint()
        for callback in self.callbacks:
            callback.on_epoch(state, entry)
        if any_rank(self.accelerator, self._stop.seen)[0]:
            self.checkpoint()
            raise StoppedError

    @property
    def resting(self) -> Sequence[nn.Module]:  # they do not learn yet
        return self.backbone if self.state.epoch < self.hyper.freeze_epochs else ()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or early stopping applies."""
        idle = self.hyper.early_stop and self.state.epochs_without_improvement >= self.hyper.patience
        return idle or self.state.epoch >= self.hyper.epochs

    def _poll_signals(self) -> list[bool]:
        """Whether to stop, and whether a checkpoint is due. Ranks only synchronize every few steps."""
        if self.accelerator.num_processes > 1 and self.state.step % CHECK_EVERY:
            return [False, False]
        return any_rank(self.accelerator, self._stop.seen, self._saver.is_due(after_epoch=False))

    def checkpoint(self) -> None:
        """Write everything that :meth:`resume` needs."""
        self._flush_losses()
        sums = [[self.state.loss_sum, self.state.images]]
        if self.accelerator.num_processes > 1:
            sums = gather_object(sums)
        scaler = self.accelerator.scaler
        self._saver.write({
            "state": asdict(self.state), "sums": sums,
            "model": self.unwrapped.state_dict(), "ema": self.ema.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(), "scaler": scaler.state_dict() if scaler else None,
        })

    def resume(self) -> None:
        """Load the run folder's last checkpoint, if there is one."""
        if not self.run.last.is_file():
            return
        saved = load_tree(self.run.last)
        saved["state"]["micro_batch"] = min(saved["state"]["micro_batch"], self.state.micro_batch)
        self.state = TrainState(**saved["state"])
        self.state.loss_sum, self.state.images = saved["sums"][self.accelerator.process_index]
        self.unwrapped.load_state_dict(saved["model"])
        load_state(self.optimizer, saved["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(saved["ema"])
        if self.accelerator.scaler is not None and saved["scaler"]:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        self.history = finished_epochs(self.run, self.state)
