"""What each augmentation adds to the time that an image takes, and to that of a step, alternating in one run.

    python benchmarks/augmentation.py [--task detection] [--size 320] [--batch 8] [--rounds 5]

The embedded data set of the task, in memory, one thread, whose own time counts, so that other programs disturb little.
The task's defaults and the default recipe are compared with no augmentation, the others with the task's defaults. The
step is forward, backward and optimizer of the network without loading. The share of it is what a run without loading
workers pays; with workers, augmentation costs nothing as long as they keep up with the step.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch

from sightsmith.core.plugins.manager import Plugins, load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.augmentations import Seed, build_augmentation
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.recipe import follow_recipe
from sightsmith.engine.training.optim import build_optimizer

NETWORKS = {"classification": "mobilenet_v3_large", "detection": "rtmdet_tiny", "segmentation": "segformer_b0"}
NOTHING = ["augment.horizontal_flip=false", "augment.resized_crop=false", "augment.translation=0", "augment.rotation=0",
           *(f"augment.color_jitter.{name}=0" for name in ("brightness", "contrast", "saturation", "hue"))]
WHOLE = "task defaults", "default recipe", "nothing"
OPTIONS = {"trivial_augment": {"geometric": True}, "rand_augment": {"geometric": True}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=NETWORKS, default="detection")
    parser.add_argument("--size", type=int, default=320, help="side of the input, pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    plugins = load_plugins()
    config = compose([f"task={options.task}", f"network={NETWORKS[options.task]}", "network.weights=none",
                      "dataset.root=sample", "dataset.limit=60", f"image.size={options.size}"], plugins)
    dataset = check(config, plugins, lambda line: None)
    sides = {"task defaults": _images(config, plugins, dataset, {})}
    recipe = follow_recipe(config, DatasetStatistics.of(dataset), {"image.size"}, plugins).applied(config)
    chosen = copy.deepcopy(config)
    chosen.augment = recipe.augment
    sides["default recipe"] = _images(chosen, plugins, dataset, recipe.augment.extra)
    bare = compose([f"task={options.task}", f"network={NETWORKS[options.task]}", "network.weights=none",
                    "dataset.root=sample", "dataset.limit=60", f"image.size={options.size}", *NOTHING], plugins)
    sides["nothing"] = _images(bare, plugins, dataset, {})
    for name, record in plugins.augmentations.items():
        if not record.tasks or options.task in record.tasks:
            more = OPTIONS.get(name, {}) if options.task == "classification" else {}
            sides[name] = _images(config, plugins, dataset, {name: {"probability": 1.0, "closing": 0.0, **more}})
    step = _step_seconds(sides["task defaults"], options.batch)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name, (_, images) in sides.items():
            started = time.process_time()
            for index in range(options.batch):
                images[index, Seed.at(1000 * number + index, 0.0)]
            if number:  # the first round fills the cache
                times[name].append((time.process_time() - started) / options.batch)
    base = statistics.median(times["nothing"])
    print(f"{options.task}, {NETWORKS[options.task]}, {options.size} px, batch {options.batch}: "
          f"{1000 * step:.0f} ms a step without loading; an image takes {1000 * base:.1f} ms without augmentation")
    defaults = statistics.median(times["task defaults"])

    for name, taken in times.items():
        added = statistics.median(taken) - (base if name in WHOLE else defaults)
        print(f"| {name} | {1000 * added:+.1f} ms an image | {100 * added * options.batch / step:+.1f} % of a step |")


def _images(config, plugins: Plugins, dataset, extra):
    record, network = plugins.task(config.task.name), plugins.network(config.network.name)
    made = [build_augmentation(plugins.augmentation(name), values) for name, values in extra.items()]
    task = record.make(record, config, network, dataset.index.classes, dataset.index.multi_label, made)
    return task, task.dataset(dataset.train, training=True)


def _step_seconds(side, batch: int) -> float:
    task, images = side
    model, _ = task.build_model()
    task.prepare(model, images.samples)
    optimizer, taken = build_optimizer(model.train(), task.config.hyper), []
    for _ in range(4):
        items = task.collate([images[index, index] for index in range(batch)])
        started = time.process_time()
        loss, _ = model.parse_losses(model(**model.data_preprocessor(items, True), mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        taken.append(time.process_time() - started)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()
