"""How long the command line takes before it does its work: two installations of sightsmith, by turns.

    python benchmarks/cold_start.py BEFORE AFTER [--rounds 7]

BEFORE and AFTER are the `python` of two environments. A training counts until it prints its first epoch, of 30 embedded
digits. Figures are medians over the rounds, and the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time

TRAIN = ("train", "task=classification", "dataset.root=sample", "network=resnet18", "network.weights=none",
         "image.size=32", "dataset.limit=30", "hyper.batch_size=8", "hyper.epochs=1", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "logger=[]")
COMMANDS = {
    "--help": ("--help",), "list networks": ("list", "networks"),
    "train --cfg job": ("train", "task=classification", "dataset.root=x", "--cfg", "job"),
    "train, first epoch": TRAIN,
}


def seconds(python: str, arguments: tuple[str, ...], folder: str) -> float:
    begun = time.perf_counter()
    more = (f"output_dir={folder}",) if arguments is TRAIN else ()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as a user has it: compiled once
    with subprocess.Popen([python, "-u", "-m", "sightsmith", *arguments, *more], stdout=subprocess.PIPE, text=True,
                          cwd=folder, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if arguments is TRAIN and line.startswith("epoch 1/1"):
                taken = time.perf_counter() - begun
                process.stdout.read()
                return taken
    assert process.returncode == 0, arguments
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print("| command | before, s | after, s | after / before |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in COMMANDS.items():
            for python in (options.before, options.after):
                seconds(python, arguments, folder)  # what is written on the first call
            pairs = [(seconds(options.before, arguments, folder), seconds(options.after, arguments, folder))
                     for _ in range(options.rounds)]
            before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(new / old for old, new in pairs)
            print(f"| `{name}` | {before:.2f} | {after:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
