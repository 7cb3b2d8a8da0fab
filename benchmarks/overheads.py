"""Where the time of a whole command goes, by stage: two installations of sightsmith, by turns.

    python benchmarks/overheads.py BEFORE AFTER [--rounds 5] [-- OVERRIDES]

BEFORE and AFTER are the `python` of two environments. The command trains ResNet-18 on 60 embedded digits of 32 px for
one epoch, or with what OVERRIDES say. Importing counts wherever it happens, and in no other stage. Figures are medians
over the rounds, seconds; the first call of each, which compiles and fills caches, does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

TRAIN = ("train", "task=classification", "dataset.root=sample", "network=resnet18", "network.weights=none",
         "image.size=32", "dataset.limit=60", "hyper.epochs=1", "dataset.folds=none")
CLOCKED = r"""
import builtins, functools, importlib, json, os, sys, time

seconds, stack, since = {}, ["rest"], time.perf_counter()

def turn(stage=None):
    "Enter a stage, or leave the present one."
    global since
    now = time.perf_counter()
    seconds[stack[-1]] = seconds.get(stack[-1], 0) + now - since
    stack.append(stage) if stage else stack.pop()
    since = now

def clocked(function, stage):
    @functools.wraps(function)
    def call(*arguments, **named):
        if stack[-1] in (stage, "import"):
            return function(*arguments, **named)
        turn(stage)
        try:
            return function(*arguments, **named)
        finally:
            turn()
    return call

builtins.__import__ = clocked(builtins.__import__, "import")
importlib.import_module = clocked(importlib.import_module, "import")
for stage, places in STAGES.items():
    for module, *names in places:
        try:
            owner = importlib.import_module(f"sightsmith.{module}")
            for name in names[:-1]:
                owner = getattr(owner, name)
            setattr(owner, names[-1], clocked(getattr(owner, names[-1]), stage))
        except (ImportError, AttributeError):
            pass  # the other installation has it elsewhere
from sightsmith.cli import main

file, *arguments = sys.argv[1:]
try:
    main(arguments)
finally:
    turn("end")
    with open(file, "w") as stream:
        json.dump(seconds, stream)
"""
STAGES = {
    "compose": [("engine.config.compose", "_composed"), ("core.config.compose", "_composed")],
    "check": [("engine.data.check", "check_dataset")],
    "trial": [("engine.pipeline.planning", "_choose_compute")],
    "training": [("engine.training.trainer", "Trainer", "fit")],
    "report": [("engine.report.report", "write_report")],
}
"""The functions whose time a stage is, at the places that they had."""
NAMES = ("start", "import", *STAGES, "rest")


def stages(python: str, overrides: list[str]) -> dict[str, float]:
    """Seconds of each stage of one command; ``start`` is Python's own, until the first line and after the last."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "seconds.json")
        begun = time.perf_counter()
        subprocess.run([python, "-c", f"STAGES = {STAGES!r}\n{CLOCKED}", file, *TRAIN, *overrides,
                        f"output_dir={folder}"], check=True, stdout=subprocess.DEVNULL, cwd=folder,
                       env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"})
        whole = time.perf_counter() - begun
        with open(file) as stream:
            found = json.load(stream)
    return found | {"start": whole - sum(found.values()), "whole command": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    sides = (options.before, options.after)
    for python in sides:
        stages(python, options.overrides)
    rounds = [[stages(python, options.overrides) for python in sides] for _ in range(options.rounds)]
    print("| stage | before, s | after, s | after / before |\n|---|---|---|---|")
    for name in (*NAMES, "whole command"):
        before, after = ([pair[side].get(name, 0.0) for pair in rounds] for side in range(2))
        ratio = statistics.median(new / old if old else float("nan") for old, new in zip(before, after, strict=True))
        print(f"| {name} | {statistics.median(before):.2f} | {statistics.median(after):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
