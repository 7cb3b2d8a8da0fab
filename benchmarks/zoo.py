"""Whether every image network of the zoos builds, trains a step and predicts: the table that ``list networks`` shows.

    python benchmarks/zoo.py [--all] [--package mmdet] [--only NAME ...] [--seconds 120] [--gigabytes 8]

Takes the first fitting configuration of each family (folder), or all: then those that make the same network, of
other schedules and data, run once. Each runs in a process of its own. What stands in the table already is not run
again: delete its row, or the table, to do so. The rest stands there as not tried.
"""

from __future__ import annotations

import argparse
import csv
import functools
import io
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

import sightsmith.plugins.openmmlab
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import write_atomic
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.build import registry
from sightsmith.plugins.openmmlab.networks import FAILED, OK, UNSUPPORTED, UNTRIED, ZOO, ZOO_COLUMNS
from sightsmith.plugins.openmmlab.published import pretrained

TABLE = Path(sightsmith.plugins.openmmlab.__file__).parent / ZOO
PACKAGES = ("mmdet", "mmseg")
PATIENCE = 10
"""Times the limit of processor time that a configuration may take by the clock, with other programs running."""

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every configuration, not one of each family")
    parser.add_argument("--package", choices=PACKAGES)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these configurations")
    parser.add_argument("--seconds", type=float, default=120, help="limit of a configuration's processor time")
    parser.add_argument("--gigabytes", type=float, default=8, help="memory limit of a configuration")
    options = parser.parse_args()
    torch.set_num_threads(1)
    _import_once()
    with tempfile.TemporaryDirectory() as temporary:
        run = functools.partial(_run, Path(temporary), options.seconds, 2**30 * options.gigabytes)
        for package in [options.package] if options.package else PACKAGES:
            _sweep(package, options.only, options.all, run)


def _sweep(package: str, only: list[str] | None, every: bool, run: Callable[[str, str], Row]) -> None:
    known = {row["config"]: row for row in _rows() if row["package"] == package and row["result"] != UNTRIED}
    families: set[str] = set()
    networks: dict[str, str] = {}
    for name in zoo.names(package):
        family = name.split("/")[0]
        if name not in only if only else family in families and not every:
            continue
        same = networks.setdefault(_network(package, name), name) if every else name
        if name not in known:
            begun = time.monotonic()
            known[name] = ({"package": package, "config": name} |
                           (run(package, name) if same == name else _as(known[same])))
            if known[name]["result"] != UNSUPPORTED:
                known[name]["pretrained"] = pretrained(package, name)
            _record(known[name])
            print(f"{time.monotonic() - begun:6.1f} s  {package:6} {name:75} {known[name]['result']:6} "
                  f"{known[name]['reason'][:90]}", flush=True)
        if known[name]["result"] != UNSUPPORTED:
            families.add(family)
    if not only:
        _record(*({"package": package, "config": name, **_untried(package, name)}
                  for name in zoo.names(package) if name not in known))


def _untried(package: str, name: str) -> Row:
    """What can be said of a configuration that was not run."""
    try:
        annotation = make_task(package, name).network.annotation
    except UserError as error:
        return {"result": UNSUPPORTED, "reason": _reason(error, package, name)}
    return {"annotation": str(annotation), "pretrained": pretrained(package, name), "result": UNTRIED,
            "reason": "was not tried"}


def _reason(error: UserError, package: str, name: str) -> str:
    return error.message.removeprefix(f"{package}'s configuration {name} ").removeprefix("is not supported: ")


def _as(row: Row) -> Row:
    """The result of another configuration of the same network."""
    return {key: row.get(key, "") for key in ("annotation", "result", "input_size")} | {"reason": f"as {row['config']}"}


def _network(package: str, name: str) -> str:
    """Equal for configurations of equal networks; the name of one that is unsupported."""
    try:
        task = make_task(package, name)
        model = task.adapted()
    except UserError:
        return name
    return task.network.annotation + json.dumps(model, sort_keys=True, default=str)


def _rows() -> list[Row]:
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


def _record(*found: Row) -> None:
    rows = {(row["package"], row["config"]): row for row in (*_rows(), *found)}
    text = io.StringIO()
    writer = csv.DictWriter(text, ZOO_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(row for _, row in sorted(rows.items()))
    write_atomic(TABLE, text.getvalue())


def _run(folder: Path, seconds: float, memory: float, package: str, name: str) -> Row:
    """The result of ``name`` in a process of its own, and the reason where it is not ok."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(package, name, folder, theirs))
    process.start()
    theirs.close()
    end = time.monotonic() + PATIENCE * seconds
    try:
        watched = psutil.Process(process.pid)
        while not ours.poll(0.1):
            if sum(watched.cpu_times()[:2]) > seconds or time.monotonic() > end:
                return _stopped(package, name, f"more than {seconds:g} s")
            if watched.memory_info().rss > memory:
                return _stopped(package, name, f"more than {memory / 2**30:g} GiB")
        return ours.recv()
    except EOFError:
        return _stopped(package, name, "the process died")
    finally:
        process.kill()
        process.join()


def _stopped(package: str, name: str, reason: str) -> Row:
    return _untried(package, name) | {"result": FAILED, "reason": reason}


def _child(package: str, name: str, folder: Path, pipe: Connection) -> None:
    try:
        zoo.load_model(package, name)
    except UserError as error:
        pipe.send({"result": UNSUPPORTED, "reason": _reason(error, package, name)})
        return
    samples = write_samples(folder)
    reason = ""
    for size in SIZES:
        task = make_task(package, name, size)
        found = {"annotation": task.network.annotation, "input_size": str(size)}
        try:
            step(task, samples)
        except Exception as error:  # any of it is this configuration's result
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = " ".join(str(error).split())[:150]
            reason += f"at {size} px {type(error).__name__}: {text} ({Path(place.filename).name}:{place.lineno}) "
        else:
            pipe.send({**found, "result": OK, "reason": reason.strip()})
            return
    pipe.send({**found, "result": FAILED, "reason": reason.strip()})


if __name__ == "__main__":
    main()
