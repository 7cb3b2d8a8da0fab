"""The command line in processes of their own, which can be killed, and what their runs came to.

The processes fork from a server that has the heavy libraries imported already, so that each starts at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import runpy
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from blank_plots import BLANK_PLOTS, save_blank
from matplotlib.backends.backend_agg import FigureCanvasAgg
from safetensors.torch import load_file

CHECKPOINT = "checkpoints/last/state.safetensors"
"""What a run folder has once an epoch is under way, with ``trainer.checkpoint_minutes=0.001``."""
HEAVY = ["sightsmith.cli", "sightsmith.engine.search.application", "sightsmith.engine.pipeline.train",
         "sightsmith.plugins.classification.task", "sightsmith.plugins.detection.task",
         "sightsmith.plugins.segmentation.task", "mmdet.models", "mmseg.models", "sklearn.metrics",
         "sightsmith.engine.report.report", "sightsmith.plugins.classification.report",
         "sightsmith.plugins.detection.report"]
"""Modules whose imports take seconds."""
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(HEAVY)


class Process:
    """``sightsmith`` with ``arguments``, in a session of its own: its ranks can be killed with it.

    Where ``dies_when()`` becomes true once a file is in its place, the process kills itself and its ranks at once.
    """

    def __init__(self, *arguments: object, dies_when: Callable[[], object] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(self._folder.name) / name for name in ("output", "errors")]
        for path in self._files:
            path.touch()
        self._process = SERVER.Process(target=_sightsmith, args=(
            list(map(str, arguments)), dict(os.environ), os.getcwd(), self._files, dies_when))
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def output(self) -> str:
        return "".join(path.read_text() for path in self._files)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        try:
            self._process.join(540)
            code = self._process.exitcode
            assert code is not None, f"it hangs: {self.output()[-4000:]}"
            output, errors = (path.read_text() for path in self._files)
        finally:
            self.kill()
        return code, output, errors

    def kill(self) -> None:
        """With the ranks that it started; it returns when all of them are dead."""
        ranks = []
        with contextlib.suppress(psutil.NoSuchProcess):
            ranks = psutil.Process(self.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        while any(map(_alive, ranks)):
            time.sleep(0.01)
        self._folder.cleanup()


def _alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _sightsmith(arguments, environment, folder, files, dies_when):
    from sightsmith.cli import main
    from sightsmith.engine.training import benchmark, distributed

    gc.freeze()  # else each training looks for garbage among all that is imported, for a third of a second
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    for path in Path(environment.get("PYTHONPATH", ".").partition(os.pathsep)[0]).glob("sitecustomize.py"):
        runpy.run_path(str(path))  # as a new interpreter would; the server is one of before the test
    if BLANK_PLOTS in os.environ:
        FigureCanvasAgg.print_png = save_blank
    distributed.START_METHOD = "fork"  # ranks that import everything anew take most of a run's time
    benchmark.MOST_WORKERS = 0  # as in all tests: tests/conftest.py
    if dies_when is not None:
        _watch(dies_when)
    try:
        main(arguments)
    finally:
        threading._shutdown()  # as a program ends: multiprocessing would first wait for joblib's idle workers, minutes


def _watch(dies_when):
    replace = os.replace

    def replace_and_look(source, target, **keys):
        replace(source, target, **keys)
        if dies_when():
            os.killpg(0, signal.SIGKILL)

    os.replace = replace_and_look


def start(folder, *overrides, dies_when=None):
    """``sightsmith train`` with its runs in ``folder``."""
    return Process("train", f"output_dir={folder}", *overrides, dies_when=dies_when)


def finish(process):
    """Exit code and output."""
    code, output, errors = process.finish()
    return code, output + errors


def succeed(process):
    code, output = finish(process)
    assert code == 0, output[-4000:]
    return output


def command(*arguments):
    """Exit code, output and errors of ``sightsmith ARGUMENTS``."""
    return Process(*arguments).finish()


class Written:
    """Whether ``folder`` has a file of ``pattern``, with at least so many ``lines``."""

    def __init__(self, folder, pattern, lines=0):
        self.folder, self.pattern, self.lines = folder, pattern, lines

    def __call__(self):
        return any(not self.lines or len(path.read_text().splitlines()) >= self.lines
                   for path in self.folder.glob(self.pattern))


def killed_when(written, *overrides):
    """Train into the folder of ``written``, and die as soon as that is there."""
    code, output = finish(start(written.folder, *overrides, dies_when=written))
    assert code == -signal.SIGKILL, output[-4000:]


def killed_from_outside(written, *overrides):
    """The same by a signal that comes whenever it comes."""
    process = start(written.folder, *overrides)
    try:
        wait_for(process, written)
    finally:
        process.kill()


def wait_for(process, condition):
    """Until ``condition()``; the deadline only guards against a hang."""
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.output()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def whole_and_cut(folder, *overrides, written, kill=killed_when):
    """Two folders of the same run: one undisturbed, one killed once ``written`` is in the run's folder."""
    whole, cut = folder / "whole", folder / "cut"
    succeed(start(whole, *overrides))
    kill(Written(cut, f"*/{written}"), *overrides)
    return whole, cut


def run_folder(folder):
    [run] = folder.iterdir()
    return run


def figures(run):
    """Those of each epoch, but for how long it took."""
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"}
            for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same(first, second):
    """The runs in two folders came to the same, bit for bit."""
    assert_same_run(run_folder(first), run_folder(second))


def assert_same_run(first, second):
    one, two = (load_file(run / "model" / "model.safetensors") for run in (first, second))
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)
    assert figures(first) == figures(second)
