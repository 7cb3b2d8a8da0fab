"""Steps per second of sightsmith's loop over a unwrapped PyTorch loop, alternating in one run.

    python benchmarks/engine_vs_bare.py [--network mobilenet_v3_large] [--size 96] [--batch 16] [--rounds 7]

Both sides train the same network on the same files, batch size and precision, on the same images in
the same order, decoded and augmented by the same data set. The unwrapped side is what one would write by
hand: a DataLoader, forward, cross entropy, backward, step. Validation is not part of either side.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.nn import functional
from torch.utils.data import DataLoader

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed as ranks
from sightsmith.engine.training.sampler import EpochSampler
from sightsmith.engine.training.trainer import Trainer

WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="mobilenet_v3_large")
    parser.add_argument("--size", type=int, default=96, help="side of the input, pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=25, help="steps of one round of one side")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    images = options.batch * options.steps
    plugins = load_plugins()
    config = compose(["task=classification", "dataset.root=sample", f"network={options.network}",
                      "network.weights=none", f"image.size={options.size}", f"hyper.batch_size={options.batch}",
                      "trainer.precision=fp32", "logger=[]"], plugins)
    dataset = check(config, plugins, lambda line: None)
    samples = (dataset.train * (images // len(dataset.train) + 1))[:images]
    record = plugins.task("classification")
    task = record.build()(record, config, plugins.network(options.network), dataset.index.classes)
    state = ranks.open_state()
    sides = {"unwrapped": _bare(task, samples, config, state.device), "sightsmith": _engine(task, samples, config,
                                                                                            state)}
    for run in sides.values():
        for _ in range(WARM_UP):
            run()
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            begun = time.perf_counter()
            steps = sides[name]()
            speeds[name].append(steps / (time.perf_counter() - begun))
    ratios = [ours / unwrapped for ours, unwrapped in zip(speeds["sightsmith"], speeds["unwrapped"], strict=True)]
    for name, values in speeds.items():
        print(f"{name:11s} {statistics.median(values):.3f} steps/s  ({min(values):.3f} to {max(values):.3f})")
    print(f"ratio       {statistics.median(ratios):.3f}  ({min(ratios):.3f} to {max(ratios):.3f})  "
          f"{options.network}, {options.size} px, batch {options.batch}, {options.rounds} rounds, {state.device}, "
          f"torch {torch.__version__}, {torch.get_num_threads()} threads")


def _bare(task, samples, config, device):
    data = task.dataset(samples, training=True)
    model, _ = task.build_model()
    model.to(device).train()
    network = model.network
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    sampler = EpochSampler(len(samples), config.hyper.batch_size, seed=0)
    loader = DataLoader(data, batch_sampler=sampler, collate_fn=task.collate)
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std

    def run() -> int:
        sampler.start(0)
        steps = 0
        for batch in loader:
            inputs = (batch["inputs"].to(device) - mean) / std
            loss = functional.cross_entropy(network(inputs), batch["data_samples"]["label"].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            steps += 1
        return steps

    return run


def _engine(task, samples, config, state):
    model, _ = task.build_model()
    data = task.dataset(samples, training=True)
    sampler = EpochSampler(len(samples), config.hyper.batch_size, seed=0)
    folder = RunDir(Path(tempfile.mkdtemp()))
    trainer = Trainer(
        accelerator=Accelerator(mixed_precision="no", cpu=state.device.type == "cpu"), task=task, model=model,
        config=config, sampler=sampler, score="accuracy", run=folder, validation_loader=DataLoader([]),
        train_loader=DataLoader(data, batch_sampler=sampler, collate_fn=task.collate))

    def run() -> int:
        trainer.train_epoch()
        steps, trainer.state.step = trainer.state.step, 0
        return steps

    return run


if __name__ == "__main__":
    main()
