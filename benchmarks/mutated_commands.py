"""Further commands on mutated data sets, each in a forked process with limits: `train` up to its first step,
`convert=`, `inspect --html`, and `predict` with a small trained run."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from every_format import CANARY, make, write_canaries
from guarded_inspect import (
    CONTROL,
    Case,
    Outcome,
    _ended,
    _names_a_file,
    _watch,
    bound_child,
    inspect,
    listing,
)
from mutations import mutated

from sightsmith.core.plugins.manager import load_plugins

COMMANDS = ("train", "convert", "html", "predict")
SECONDS = 180
SMALL = ("recipe=platform", "network.weights=none", "image.size=64", "hyper.epochs=1", "hyper.batch_size=4",
         "trainer.precision=fp32", "trainer.memory_format=contiguous", "hyper.optimizer=adamw", "logger=[]",
         "dataset.min_images_per_class=1")
NETWORKS = {"classification": "shufflenet_v2_x0_5", "detection": "rtmdet_tiny", "segmentation": "fastscnn"}
KINDS = {"classification": "labels", "detection": "boxes", "segmentation": "masks"}


def command_case(command: str, seed: int, folder: Path) -> Case:
    """Mutate a data set in the empty ``folder``, and give it to ``command``."""
    if command in ("train", "predict"):
        prepare()
    root = folder / "set"
    write_canaries(folder)
    name, task, source, mutations = mutated(seed, root)
    with TemporaryDirectory() as output:
        arguments = _arguments(command, task, source, Path(output), Random(seed))
        code, said, touched = _run(root, arguments, Path(output))
    expected = inspect(root, task, source).code
    outcome = Outcome(code, "", "", code, said, touched)
    fault = _fault(command, outcome, expected, root, {mutation.file for mutation in mutations})
    return Case(seed, name, tuple(mutation.kind for mutation in mutations),
                ", ".join(f"{mutation.file}: {mutation.kind}" for mutation in mutations), outcome, fault)


def _arguments(command: str, task: str, source: Path, output: Path, random: Random) -> list[str]:
    if command == "predict":
        return ["predict", f"run={_trained(task)}", f"input={source}", f"output_dir={output / 'out'}",
                f"format={_writable(task, random)}"]
    data = [f"task={task}", f"dataset.root={source}", "dataset.min_images_per_class=1"]
    if command == "html":
        return ["inspect", *data, f"--html={output / 'out'}"]
    if command == "convert":
        return ["inspect", *data, f"convert={_writable(task, random)}", f"convert_dir={output / 'out'}"]
    return ["train", *data[:2], f"network={NETWORKS[task]}", *SMALL, "trainer.dry_run=true",
            f"output_dir={output / 'out'}"]


def _writable(task: str, random: Random) -> str:
    return random.choice(sorted(name for name, record in load_plugins().dataset_formats.items()
                                if record.writer and KINDS[task] in record.annotations))


@cache
def prepare() -> None:
    """Import what children need, before they are forked."""
    plugins = load_plugins()
    for task, network in NETWORKS.items():
        plugins.task(task).build()
        plugins.network(network).build()


@cache
def _trained(task: str) -> Path:
    """A run of one epoch on the unharmed data, in the cache."""
    folder = Path(os.environ["SIGHTSMITH_CACHE"]) / f"run-{task}"
    names = {"classification": "class_folders", "detection": "coco", "segmentation": "mask_folders"}
    root = folder / "data" / "set"
    root.parent.mkdir(parents=True)
    _, source = make(names[task], root)
    code, said, _ = _run(root, ["train", f"task={task}", f"dataset.root={source}", f"network={NETWORKS[task]}", *SMALL,
                                f"output_dir={folder / 'runs'}"], folder)
    assert code == 0, said
    [run] = (folder / "runs").iterdir()
    return run


def _run(root: Path, arguments: Sequence[str], folder: Path) -> tuple[int, str, tuple[str, ...]]:
    """The exit code, all that was printed, and what was changed or opened elsewhere than in ``folder``."""
    said, touched = folder / "said", folder / "touched"
    said.touch()
    touched.touch()
    before = listing(root)
    child = os.fork()
    if child == 0:
        _child(root, arguments, said, touched)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    changed = () if listing(root) == before else ("the data set was changed",)
    # Libraries make their folders in the home folder, if these are not there yet. What predict is given is no data set:
    # links in it are followed, as they are wherever people keep their photos.
    notes = [note for note in touched.read_text().splitlines()
             if not (note.startswith("os.mkdir") and str(root.parent) not in note)
             and not (note.startswith("read") and arguments[0] == "predict")]
    return code, said.read_text(errors="replace"), (*changed, *dict.fromkeys(notes))


def _child(root: Path, arguments: Sequence[str], said: Path, touched: Path) -> None:
    """Never returns."""
    code = 99
    try:
        bound_child(SECONDS)
        for number in (1, 2):
            os.dup2(os.open(said, os.O_WRONLY | os.O_APPEND), number)
        sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(os.dup(1), "w"), encoding="utf-8", errors=errors,
                                                   write_through=True) for errors in ("strict", "backslashreplace"))
        tempfile.tempdir = str(said.parent)  # where MMEngine writes configurations for a moment
        _watch(root.parent, root, touched.open("a", buffering=1))
        code = _ended(list(arguments))
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _fault(command: str, outcome: Outcome, inspected: int, root: Path, names: set[str]) -> str:
    """What no outcome may be; ``inspected`` is the exit code of `inspect` for the same data."""
    if outcome.code not in ((0, 1, 2) if command == "predict" else (0, 2)):
        return f"ended with {outcome.code}"
    if "Traceback" in outcome.said:
        return "a trace"
    if CANARY in outcome.said or "root:x:0" in outcome.said:
        return "what lies beside the data set is shown"
    if outcome.touched:
        return "; ".join(outcome.touched)
    if (control := CONTROL.search(outcome.said.replace("\r", ""))) is not None:
        return f"a control character is printed: {control[0]!r}"
    if command != "predict" and inspected == 2 and outcome.code == 0:
        return "inspect refuses it"
    if outcome.code == 2 and inspected == 0 or outcome.code == 1:
        return "" if _names_a_file(outcome, root, names) else "no file is named"
    return ""
