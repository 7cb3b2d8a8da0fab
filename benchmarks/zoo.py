"""Whether every image network of the zoos builds, trains a step and predicts: ``benchmarks/zoo.csv``.

    python benchmarks/zoo.py [--all] [--package mmdet] [--only NAME] [--seconds 120] [--gigabytes 8]

Takes the first fitting configuration of each family (folder), or all: then those that make the same network, of
other schedules and data, run once. Each runs in a process of its own. What stands in the table already is not run
again: delete its row, or the table, to do so.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import logging
import multiprocessing
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import torch
from zoo_step import SIZES, make_task, step, write_samples

from sightsmith.core.errors import UserError
from sightsmith.core.plugins import load_plugins
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.build import registry

TABLE = Path(__file__).parent / "zoo.csv"
COLUMNS = ("package", "family", "config", "result", "seconds", "reason")
PACKAGES = ("mmdet", "mmseg")
OK, FAILED, APART = "ok", "failed", "apart"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every configuration, not one of each family")
    parser.add_argument("--package", choices=PACKAGES)
    parser.add_argument("--only", help="this configuration")
    parser.add_argument("--seconds", type=float, default=120, help="time limit of a configuration")
    parser.add_argument("--gigabytes", type=float, default=8, help="memory limit of a configuration")
    options = parser.parse_args()
    torch.set_num_threads(1)
    _import_once()
    with tempfile.TemporaryDirectory() as temporary:
        run = functools.partial(_run, Path(temporary), options.seconds, 2**30 * options.gigabytes)
        for package in [options.package] if options.package else PACKAGES:
            _sweep(package, options.only, options.all, run)


def _sweep(package: str, only: str | None, every: bool, run: Callable[[str, str], tuple[str, str]]) -> None:
    known = {row["config"]: row["result"] for row in _rows() if row["package"] == package}
    families: set[str] = set()
    networks: dict[str, str] = {}
    for name in zoo.names(package):
        family = name.split("/")[0]
        if only not in (None, name) or (family in families and not every):
            continue
        same = networks.setdefault(_network(package, name), name) if every else name
        if name not in known:
            begun = time.monotonic()
            result, reason = run(package, name) if same == name else (known[same], f"the network of {same}")
            _record(package, family, name, result, f"{time.monotonic() - begun:.1f}", reason)
            known[name] = result
        if known[name] != APART:
            families.add(family)


def _network(package: str, name: str) -> str:
    """Equal for configurations of equal networks; the name of one that is apart."""
    try:
        model, _ = make_task(package, name).adapted()
    except UserError:
        return name
    return json.dumps(model, sort_keys=True, default=str)


def _rows() -> list[dict[str, str]]:
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _import_once() -> None:
    """What each configuration's process, a fork of this one, then has."""
    for package in PACKAGES:
        registry(package)
    for name in ("detection", "segmentation"):
        load_plugins().task(name).build()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def _record(*values: str) -> None:
    print(*values, flush=True)
    new = not TABLE.is_file()
    with TABLE.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerow(values)


def _run(folder: Path, seconds: float, memory: float, package: str, name: str) -> tuple[str, str]:
    """The result of ``name`` in a process of its own, and the reason where it is not ok."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(package, name, folder, theirs))
    process.start()
    theirs.close()
    end = time.monotonic() + seconds
    try:
        watched = psutil.Process(process.pid)
        while not ours.poll(0.1):
            if time.monotonic() > end:
                return FAILED, f"more than {seconds:g} s"
            if watched.memory_info().rss > memory:
                return FAILED, f"more than {memory / 2**30:g} GiB"
        return ours.recv()
    except EOFError:
        return FAILED, "the process died"
    finally:
        process.kill()
        process.join()


def _child(package: str, name: str, folder: Path, pipe: Connection) -> None:
    samples = write_samples(folder)
    reason = ""
    for size in SIZES:
        try:
            step(make_task(package, name, size), samples)
        except UserError as error:
            pipe.send((APART, error.message.removeprefix(f"{package}'s configuration {name} ")))
            return
        except Exception as error:  # any of it is this configuration's result
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())[:150]
            reason += f"at {size} px {type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno}) "
        else:
            pipe.send((OK, reason.strip()))
            return
    pipe.send((FAILED, reason.strip()))


if __name__ == "__main__":
    main()
