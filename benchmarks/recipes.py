"""Whether every listed network trains by every recipe, with every augmentation on, and resumes bit for bit.

    python benchmarks/recipes.py [--task detection] [--only NAME ...] [--recipes default] [--parameters 30] \\
        [--minutes 60]

Each network that its task lists, the smallest first, is trained for two steps on four small pictures, from random
weights and at the smallest size that it takes: once undisturbed, and once paused after the first step and resumed.
Weights, optimizer and moving average must then be equal, bit for bit, and the second step must have changed something.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.plugins.manager import Plugins, load_plugins
from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.start import start

RECIPES = ("default", "published", "platform")
TASK_KEYS = {"classification": ["task.label_smoothing=0.1", "task.class_weights=balanced"]}
SMALLEST = 32
"""Side of the input, pixels, of networks that take smaller ones."""

SAME, NONE, NOT_RUN = "same", "nothing is published", "not run"
State = dict[str, torch.Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    parser.add_argument("--parameters", type=float, default=float("inf"), help="largest network, in millions")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start nothing after these")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    plugins = load_plugins()
    results: Counter[str] = Counter()
    end = time.monotonic() + 60 * options.minutes
    for network in listed(plugins):
        if (options.task or network.task) != network.task or network.name not in (options.only or [network.name]):
            continue
        for recipe in options.recipes:
            begun = time.monotonic()
            small = network.parameters <= 1e6 * options.parameters
            result = compared(network, recipe, plugins) if small and begun < end else NOT_RUN
            results[result if result in (SAME, NONE, NOT_RUN) else "failed"] += 1
            print(f"{time.monotonic() - begun:6.1f} s  {network.task:14} {network.name:27} {recipe:9} {result}",
                  flush=True)
    print(", ".join(f"{result}: {count}" for result, count in results.items()))
    raise SystemExit(bool(results["failed"]))


def listed(plugins: Plugins) -> list[NetworkRecord]:
    """The networks of all tasks but for the zoos as a whole, the smallest first."""
    return sorted((record for record in plugins.networks.values() if not record.zoo),
                  key=lambda record: record.parameters)


def compared(network: NetworkRecord, recipe: str, plugins: Plugins) -> str:
    """:data:`SAME`, :data:`NONE`, or what is wrong."""
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            overrides = everything(Path(folder), network, recipe, plugins)
            whole = trained(Path(folder, "whole"), overrides, plugins, pause=2)
            first = trained(Path(folder, "halves"), overrides, plugins, pause=1)
            resumed = trained(Path(folder, "halves"), [*overrides, "trainer.resume=true"], plugins, pause=2)
    except UserError as error:
        return NONE if recipe == "published" and error.message.startswith("recipe=published") else error.message
    except StoppedError:
        raise SystemExit(130) from None
    except Exception as error:  # anything else is the result of this combination
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if unlike := list(differences(whole, resumed)):
        return f"{len(unlike)} of {len(whole)} tensors differ: {', '.join(unlike[:3])}"
    return SAME if any(differences(first, resumed)) else "the second step has changed nothing"


def everything(folder: Path, network: NetworkRecord, recipe: str, plugins: Plugins) -> list[str]:
    """The overrides of a run with all augmentations, of one step an epoch on pictures in ``folder``."""
    extra = [f"augment.extra.{name}.probability=0.5" for name, record in plugins.augmentations.items()
             if not record.tasks or network.task in record.tasks]
    return [f"task={network.task}", f"network={network.name}", f"recipe={recipe}", "network.weights=none",
            f"image.size={max(network.min_size, SMALLEST)}", f"dataset.root={pictures(folder / 'data', network.task)}",
            "dataset.validation_percentage=34", "hyper.epochs=3", "hyper.batch_size=4", "trainer.precision=fp32",
            "trainer.memory_format=contiguous", "logger=[]", "augment.horizontal_flip=true", "augment.rotate90=true",
            "augment.rotation=10", "augment.translation=5", "augment.resized_crop=true", *extra,
            *TASK_KEYS.get(network.task, [])]


def trained(folder: Path, overrides: list[str], plugins: Plugins, *, pause: int) -> State:
    """The last checkpoint of a run in ``folder`` that pauses after an epoch."""
    given = [*overrides, f"output_dir={folder}", f"trainer.pause_after_epoch={pause}"]
    start(compose(given, plugins), given, plugins)
    [run] = folder.iterdir()
    return load_file(run / "checkpoints" / "last" / "state.safetensors")


def differences(one: State, other: State) -> Iterator[str]:
    """The names of the tensors that are not equal."""
    return (name for name in sorted(one.keys() | other.keys())
            if name not in one or name not in other or not torch.equal(one[name], other[name]))


def pictures(folder: Path, task: str) -> Path:
    """Six pictures with two bright rectangles each, as the ``task`` learns from them."""
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "left"}, {"id": 2, "name": "right"}]}
    for number in range(6):
        random = np.random.default_rng(number)
        values, shown = random.integers(0, 90, (96, 128, 3), dtype=np.uint8), np.zeros((96, 128), np.uint8)
        for kind, (left, top) in enumerate(((6 + 4 * number, 8), (78, 60 - 6 * number)), 1):
            values[top:top + 30, left:left + 30, kind] = 230
            shown[top:top + 30, left:left + 30] = kind
            corners = [left, top, left + 30, top, left + 30, top + 30, left, top + 30]
            content["annotations"].append({"id": len(content["annotations"]) + 1, "image_id": number, "area": 900,
                                           "category_id": kind, "bbox": [left, top, 30, 30], "iscrowd": 0,
                                           "segmentation": [corners]})
        content["images"].append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 96})
        place = {"classification": ("odd", "even")[number % 2], "segmentation": "images"}.get(task, ".")
        (folder / place).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / place / f"{number}.png")
        if task == "segmentation":
            (folder / "masks").mkdir(exist_ok=True)
            Image.fromarray(shown).save(folder / "masks" / f"{number}.png")
    if task == "detection":
        (folder / "annotations.json").write_text(json.dumps(content))
    return folder


if __name__ == "__main__":
    main()
