"""One training: a model, its training samples and its validation samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator, PartialState
from torch import nn
from torch.utils.data import DataLoader

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.results import Model
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.bundle import bundle_tensors, open_model, restore_task
from sightsmith.engine.runs.checkpoint import HINT
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training.benchmark import FORMATS
from sightsmith.engine.training.sampler import EpochSampler, EvaluationSampler
from sightsmith.engine.training.state import Callback
from sightsmith.engine.training.trainer import Trainer, seed_everything


class Training:
    """Prepares ``model`` for the samples. Every rank has one, with its share of every micro-batch."""

    def __init__(self, config: Config, task: Task, model: Model, train: Sequence[Sample], validation: Sequence[Sample],
                 state: PartialState) -> None:
        self.config, self.task, self.model, self.state = config, task, model, state
        self.train, self.validation = train, validation
        write_activations_anew(model)
        task.prepare(model, train)
        self.train_data = task.dataset(train, training=True)
        self.validation_data = task.dataset(validation, training=False)
        self.sampler = EpochSampler(len(train), config.hyper.batch_size, config.trainer.gradient_accumulation,
                                    seed=config.trainer.seed, rank=state.process_index, world=state.num_processes,
                                    weights=task.sampling_weights(train), epochs=config.hyper.epochs)

    def trainer(self, run: RunDir, plan: Plan, callbacks: Sequence[Callback]) -> Trainer:
        """A trainer that follows ``plan``, resumed from the last checkpoint in ``run`` if there is one."""
        precision = {"fp32": "no"}.get(plan.precision, plan.precision)
        accelerator = Accelerator(mixed_precision=precision, cpu=self.state.device.type == "cpu")
        loading: dict[str, Any] = {"num_workers": plan.num_workers, "collate_fn": self.task.collate,
                                   "persistent_workers": plan.num_workers > 0,
                                   "pin_memory": self.state.device.type == "cuda"}
        if self.state.device.type != "cpu":  # of an earlier run in this process; on the CPU, Python does it in time
            accelerator.free_memory()
        batches = EvaluationSampler(len(self.validation), self.config.hyper.batch_size, self.state.process_index,
                                    self.state.num_processes)
        self.sampler.epochs = self.config.hyper.epochs  # as trainer.time_budget may have set it
        seed_everything(self.config.trainer.seed)
        trainer = Trainer(
            accelerator=accelerator, task=self.task, model=self.model, config=self.config, sampler=self.sampler,
            train_loader=DataLoader(self.train_data, batch_sampler=self.sampler, **loading),
            validation_loader=DataLoader(self.validation_data, batch_sampler=batches, **loading),
            score=self.task.score, run=run, callbacks=callbacks, memory_format=FORMATS[plan.memory_format],
            teacher=self._teacher(), micro_batch=plan.micro_batch)
        try:
            trainer.resume()
            if trainer.state.best_epoch:
                bundle_tensors(run.best)  # an error now, not after the last epoch
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise UserError(f"{run.last} does not fit this run: {str(error).splitlines()[0]}", hint=HINT) from error
        return trainer

    def _teacher(self) -> Model | None:
        """The base run's model, for distillation; None without it."""
        base_run = self.config.base_run
        if not base_run.distillation:
            return None
        run = Path(str(base_run.path))
        return open_model(run, restore_task(run, self.task.record, self.task.network))


CLONED = nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh
"""Activations whose gradient needs their input, of which torch makes a copy before it writes in place. ReLU6 is a
Hardtanh."""


def write_activations_anew(model: nn.Module) -> None:
    """Let :data:`CLONED` activations of ``model`` write to new memory: the same values without the copy."""
    for module in model.modules():
        if isinstance(module, CLONED):
            module.inplace = False
