"""What `sightsmith inspect` makes of damaged data: mutated data sets of every format, and hostile images.

    python benchmarks/mutated_data.py [--sets 1000] [--images 200] [--first 0] [--seed N] [--command train]

Each is inspected in a process of its own with limits of time and memory. It must be read with the right values, or
refused with a problem that names a file: without a trace, and with nothing read or written outside of the data set.
--seed N repeats one data set or, with --images 1, one image, and shows what was printed. --command gives the data sets
to another command than `inspect`: train (up to the first step), convert (to a format by chance), html or predict.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from guarded_inspect import Case, dataset_case, image_case
from mutated_commands import COMMANDS, command_case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="repeat this one")
    parser.add_argument("--command", choices=COMMANDS, help="what the data sets are given to, instead of inspect")
    options = parser.parse_args()
    first, counts = options.first, (options.sets, options.images)
    if options.seed is not None:
        first, counts = options.seed, (0, 1) if options.images == 1 else (1, 0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SIGHTSMITH_CACHE"] = str(Path(folder) / "cache")
        of_sets = partial(command_case, options.command) if options.command else dataset_case
        for what, make, count in zip(("data set", "image"), (of_sets, image_case), counts, strict=True):
            if count:
                _table(what, make, range(first, first + count), shown=options.seed is not None)


def _table(what: str, make: Callable[[int, Path], Case], seeds: range, shown: bool) -> None:
    outcomes: dict[str, Counter[str]] = {}
    slowest, faults = 0.0, []
    with suppress(KeyboardInterrupt):  # then the table is that of the cases so far
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                case = make(seed, Path(folder))
                slowest = max(slowest, time.perf_counter() - begun)
            kind = "fault" if case.fault else "read" if case.outcome.code == 0 else "refused"
            for label in (case.name, *case.kinds):
                outcomes.setdefault(label, Counter())[kind] += 1
            outcomes.setdefault("all", Counter())[kind] += 1
            if case.fault:
                faults.append(f"{what} --seed {seed} ({case.name}; {case.text!a}): {case.fault}")
                print(faults[-1], flush=True)
            if shown:
                print(case.name, ascii(case.text), case.outcome.code, case.outcome.said, case.outcome.errors, sep="\n")
    print(f"\n| {what} | read | refused | fault |\n|---|---|---|---|")
    for label, found in sorted(outcomes.items()):
        print(f"| {label} | {found['read']} | {found['refused']} | {found['fault']} |")
    print(f"\n{len(faults)} faults, the slowest took {slowest:.1f} s")


if __name__ == "__main__":
    main()
