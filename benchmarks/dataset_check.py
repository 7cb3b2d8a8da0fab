"""How long the check of a data set takes in two versions of sightsmith, by turns, each in processes of its own.

    python benchmarks/dataset_check.py --python OTHER/.venv/bin/python [--rounds 7] [--task classification]

Of the embedded data set, whose images are decoded in the first check of a process: the second is measured, in which
formats are detected, files found, and samples split. The result must be the same.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

SCRIPT = """
import sys, time
from sightsmith.engine.config.compose import compose
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.pipeline.load_dataset import check
plugins = load_plugins()
config = compose([f"task={sys.argv[1]}", "dataset.root=sample"], plugins)
check(config, plugins, lambda line: None)
begun = time.process_time()
found = check(config, plugins, lambda line: None)
print(time.process_time() - begun, found.data_digest + found.split_digest)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="that of the other version")
    parser.add_argument("--task", default="classification")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {options.python: [], sys.executable: []}
    digests = set()
    for _ in range(options.rounds):
        for python, found in seconds.items():
            done = subprocess.run([python, "-c", SCRIPT, options.task], capture_output=True, text=True, check=True)
            spent, digest = done.stdout.split()[-2:]
            found.append(float(spent))
            digests.add(digest)
    if len(digests) != 1:
        sys.exit("the data or the split differ")
    other, own = map(statistics.median, seconds.values())
    print(f"{options.task}: other {other:.3f} s, this {own:.3f} s of CPU time, ratio {other / own:.2f}, "
          f"medians of {options.rounds}")


if __name__ == "__main__":
    main()
