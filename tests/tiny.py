"""A task of a few numbers, so that the loop is tested without images and in milliseconds.

It also shows that the engine knows no task: everything here goes through the public contract.
"""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import torch
from accelerate import Accelerator
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex, Sample
from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.contracts.schema import Config, HyperConfig, NetworkConfig, TaskConfig, TrainerConfig
from sightsmith.core.contracts.task import Task
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed as ranks
from sightsmith.engine.training.sampler import EpochSampler, EvaluationSampler
from sightsmith.engine.training.trainer import Trainer, seed_everything

FEATURES, CLASSES = 6, 3


class TinyModel(BaseModel):
    def __init__(self, explode_at: int | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Dropout(0.0), nn.Linear(8, CLASSES))
        self.explode_at, self.calls = explode_at, 0

    def forward(self, inputs, data_samples=None, mode="tensor"):
        logits = self.layers(inputs)
        if mode == "loss":
            self.calls += 1
            loss = nn.functional.cross_entropy(logits, data_samples["label"])
            if self.calls == self.explode_at:
                loss = loss * float("nan")
            return {"loss_cls": loss, "loss_extra": 0.01 * logits.square().mean()}
        return logits


class Numbers(Dataset):
    """Item ``n``: noise that depends on ``n`` and, in training, a little on the seed."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, key):
        index, seed = key if isinstance(key, tuple) else (key, None)
        generator = torch.Generator().manual_seed(index)
        features = torch.randn(FEATURES, generator=generator)
        label = index % CLASSES
        features[label] += 2
        if seed is not None:
            features += 0.1 * torch.randn(FEATURES, generator=torch.Generator().manual_seed(seed))
        return features, label, index


class TinyTask(Task):
    score = "accuracy"

    def input_size(self):
        return 16

    def dataset(self, samples, *, training):
        return Numbers(samples)

    def collate(self, items):
        features, labels, places = zip(*items, strict=True)
        return {"inputs": torch.stack(features),
                "data_samples": {"label": torch.tensor(labels), "index": torch.tensor(places)}}

    def build_model(self, *, load_weights=True):
        return TinyModel(), None

    def backbone(self, model):
        return model.layers[:2]

    def evaluation_step(self, model, batch):
        batch = model.data_preprocessor(batch, False)
        logits = model(batch["inputs"])
        losses = nn.functional.cross_entropy(logits, batch["data_samples"]["label"], reduction="none")
        return [{"index": index, "loss": loss, "right": right} for index, loss, right in zip(
            batch["data_samples"]["index"].tolist(), losses.tolist(),
            (logits.argmax(1) == batch["data_samples"]["label"]).tolist(), strict=True)]

    def predict(self, model, batch):
        return [{"scores": row} for row in model(batch["inputs"]).softmax(1).tolist()]

    def prediction(self, parts, samples, size):
        [part] = parts
        return Prediction(samples[0].path, *size, scores=dict(zip(self.classes, part["scores"], strict=True)))

    def metrics(self, outcomes):
        return {"loss": sum(item["loss"] for item in outcomes) / len(outcomes),
                "accuracy": sum(item["right"] for item in outcomes) / len(outcomes)}

    def report(self, outcomes, samples, folder):
        return []


def tiny_dataset(images=24, validation=6, **keys):
    """So many samples of three classes by turns, of which the first are for validation; ``keys`` are the samples'."""
    samples = tuple(Sample(Path(f"{number}"), f"{number:03d}", ("abc"[number % 3],), **keys)
                    for number in range(images))
    index = DatasetIndex(Path(), "", ("a", "b", "c"), samples)
    return CheckedDataset(index, "", samples[validation:], samples[:validation], {}, (), "", "")


def tiny_config(**keys) -> Config:
    trainer = {name: keys.pop(name) for name in list(keys) if name in TrainerConfig.__dataclass_fields__}
    return Config(task=TaskConfig("tiny"), name="tiny", network=NetworkConfig("tiny"),
                  hyper=HyperConfig(**({"epochs": 2, "batch_size": 8, "learning_rate": 0.05} | keys)),
                  trainer=TrainerConfig(**trainer))


def tiny_trainer(folder: Path, config: Config, *, images: int = 26, callbacks=(), state=None,
                 explode_at=None, model=None, micro_batch=None, precision="no") -> Trainer:
    state = state or ranks.open_state()
    record = NetworkRecord(name="tiny", description="", builder="tiny:TinyModel", task="tiny", family="tiny",
                           parameters=1, input_size=16)
    task = TinyTask(None, config, record, ["a", "b", "c"])
    samples = [Sample(Path(f"{number}"), f"{number}") for number in range(images)]
    sampler = EpochSampler(images, config.hyper.batch_size, config.trainer.gradient_accumulation,
                           seed=config.trainer.seed, rank=state.process_index, world=state.num_processes)
    data = task.dataset(samples, training=True)
    validation = EvaluationSampler(images, config.hyper.batch_size, state.process_index, state.num_processes)
    seed_everything(7)
    model = model or TinyModel(explode_at)
    return Trainer(accelerator=Accelerator(cpu=True, mixed_precision=precision), task=task, model=model, config=config,
                   sampler=sampler,
                   train_loader=DataLoader(data, batch_sampler=sampler, collate_fn=task.collate),
                   validation_loader=DataLoader(data, batch_sampler=validation, collate_fn=task.collate),
                   score="accuracy", run=RunDir(folder), callbacks=callbacks, micro_batch=micro_batch)


def train_as_rank(folder: str, keys: dict) -> tuple[dict, list]:
    """One rank's whole run: final weights and history."""
    state = ranks.open_state()
    try:
        trainer = tiny_trainer(Path(folder), tiny_config(**keys), state=state)
        trainer.fit()
        weights = {name: value.tolist() for name, value in trainer.unwrapped.state_dict().items()}
        return weights, trainer.history
    finally:
        ranks.close_state(state)


def run_out_of_memory_as_rank(folder: str) -> None:
    """Rank 1 runs out of memory in its second step, while rank 0 waits for it."""
    state = ranks.open_state()
    trainer = tiny_trainer(Path(folder), tiny_config(), state=state)
    forward, calls = trainer.unwrapped.forward, itertools.count(1)

    def limited(*arguments, **keys):
        if state.process_index == 1 and next(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(*arguments, **keys)

    trainer.unwrapped.forward = limited
    trainer.fit()


def hang_as_rank(folder: str) -> None:
    """Rank 1 waits for ever where it loads its third batch; rank 0 waits for it."""
    state = ranks.open_state()
    trainer = tiny_trainer(Path(folder), tiny_config(watchdog_minutes=0.1), state=state)
    collate, calls = trainer.train_loader.collate_fn, itertools.count(1)

    def stuck(items):
        if state.process_index == 1 and next(calls) == 3:
            threading.Event().wait()
        return collate(items)

    trainer.train_loader.collate_fn = stuck
    trainer.fit()
