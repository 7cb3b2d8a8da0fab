"""Whether the rows of every head go to the classes of their names, for each network with a short name.

    python benchmarks/heads.py [--only retinanet_r50 ...]

A network's weights are saved and loaded into the same network with its classes in another order. On the same images
the loss must be the same; with the rows left where they were it must not. A network is "not told" where it is the same
even then.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from zoo_step import CLASSES, SIZES, TASKS, make_task, write_samples

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.report.starting_weights import loading_lines
from sightsmith.plugins.openmmlab.ops.extension import provide_operators

TOLERANCE = 1e-5
SEEDS = 5
"""Tried until the loss depends on the classes: where it weighs by overlap, boxes drawn at random may have none."""

OPTIONS = {"dino_r50": {"dn_cfg": {"label_noise_scale": 1e-9}}}
"""What draws classes at random in the loss draws others when their order is another."""


def losses(package: str, name: str, options: dict[str, Any], folder: Path, size: int = SIZES[0], seed: int = 0,
           ) -> tuple[float, ...]:
    """Of a network, of one with its classes turned around and its weights, and of that one with the rows left.

    ``seed`` draws the rows of the heads. Raises ValueError where anything of the weights was not loaded.
    """
    samples = write_samples(folder)
    task = make_task(package, name, size, options)
    torch.manual_seed(seed)
    source, _ = task.build_model()
    with torch.no_grad():
        for head in task._heads(source, lambda larger: larger):
            source.state_dict()[head].add_(torch.randn_like(source.state_dict()[head]))  # else classes are alike
    torch.save({"state_dict": source.state_dict(), "meta": {"dataset_meta": {"classes": CLASSES}}},
               folder / "source.pth")
    turned = make_task(package, name, size, options)
    turned.classes = (*CLASSES[1:], CLASSES[0])
    turned.config.network.weights = str(folder / "source.pth")
    model, report = turned.build_model()
    if report.missing or report.mismatched or report.classes != {"kept": turned.classes, "new": (), "dropped": ()}:
        raise ValueError("\n".join(loading_lines(report)))
    found = [_loss(task, source, samples), _loss(turned, model, samples)]
    model.load_state_dict(source.state_dict())
    return (*found, _loss(turned, model, samples))


def _loss(task: Any, model: Any, samples: Any) -> float:
    data = task.dataset(samples, training=False)
    with torch.no_grad():
        return task.evaluation_step(model.eval(), task.collate([data[0], data[1]]))[0]["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    provide_operators()
    verdicts: Counter[str] = Counter()
    packages = {task: package for package, task in TASKS.items()}
    for network in load_plugins().networks.values():
        if network.task not in packages or network.zoo or (options.only and network.name not in options.only):
            continue
        with tempfile.TemporaryDirectory() as temporary:
            try:
                found = _at_a_size(packages[network.task], network.options["config"], OPTIONS.get(network.name, {}),
                                   Path(temporary))
            except Exception as error:  # each network by itself: what one raises is its row
                print(f"{network.name:28} FAILED {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
                verdicts["failed"] += 1
                continue
        verdict = "not kept"
        if math.isclose(found[0], found[1], rel_tol=TOLERANCE):
            verdict = "not told" if math.isclose(found[0], found[2], rel_tol=TOLERANCE) else "kept"
        verdicts[verdict] += 1
        print(f"{network.name:28} {verdict}: loss {found[0]:.6g}, turned {found[1]:.6g}, rows left {found[2]:.6g}",
              flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))


def _at_a_size(package: str, name: str, options: dict[str, Any], folder: Path) -> tuple[float, ...]:
    """As :func:`losses`, at the first size that the network takes, and of the first seed whose classes tell."""
    found: tuple[float, ...] = ()
    for seed in range(SEEDS):
        for size in SIZES:
            try:
                found = losses(package, name, options, folder, size, seed)
                break
            except (RuntimeError, UserError, ValueError):
                if size == SIZES[-1]:
                    raise
        if not math.isclose(found[0], found[2], rel_tol=TOLERANCE):
            break
    return found


if __name__ == "__main__":
    main()
