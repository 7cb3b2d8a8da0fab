"""``sightsmith inspect`` in a forked process with limits, and whether it keeps what it promises of damaged data:
right values, or a problem that names a file; no trace, no hang, nothing read or written elsewhere."""

from __future__ import annotations

import ctypes
import gc
import io
import json
import os
import re
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from broken_datasets import folders
from every_format import CANARY, make, write_canaries
from hostile_images import hostile
from mutations import Mutation, mutated

from sightsmith.cli import main
from sightsmith.core.contracts.schema import Config
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline import inspect as inspecting

SECONDS = 60
MEMORY = 3 * 2**30
"""Bytes of data beyond what the imports have taken."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ABOUT_ALL = re.compile(r"class(es)? '|only one class|classes are|images? in|both splits|no image|leaves no image")
"""Problems of the whole data set, which no one file has."""


@dataclass(frozen=True)
class Outcome:
    """``code`` of ``inspect --json``, what it printed, and the same without ``--json``; ``touched``: files elsewhere
    that were opened, and changes."""

    code: int
    output: str
    errors: str
    said_code: int
    said: str
    touched: tuple[str, ...]

    @property
    def values(self) -> dict | None:
        return json.loads(self.output) if self.output else None


def inspect(root: Path, task: str, source: Path | None = None) -> Outcome:
    """What ``inspect task=TASK dataset.root=SOURCE`` (None: ``root``) comes to."""
    config = _configurations()[task]
    config = replace(config, dataset=replace(config.dataset, root=str(source or root)))
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("output", "errors", "said", "said-errors", "touched", "codes")]
        for path in files:
            path.touch()
        before = listing(root)
        child = os.fork()
        if child == 0:
            _child(root, config, files)
        status = os.waitpid(child, 0)[1]
        changed = () if listing(root) == before else ("the data set was changed",)
        output, errors, said, more, touched, codes = (path.read_text(errors="replace") for path in files)
        numbers = [int(code) for code in codes.split()]
        code = os.waitstatus_to_exitcode(status)
        if code != 0 or len(numbers) != 2:
            numbers = [code or 1] * 2
        return Outcome(numbers[0], output, errors, numbers[1], said + more,
                       (*changed, *dict.fromkeys(touched.splitlines())))


def prepare() -> None:
    """Import what children need, and compose what they are configured by; the first inspection does so otherwise."""
    _configurations()


@cache
def _configurations() -> dict[str, Config]:
    """By task, composed once because that takes longer than all else; what children import is imported meanwhile."""
    configurations = {}
    for name in ("images of many kinds", "parquet, boxes", "coco, polygons", "voc_masks", "voc", "cvat, boxes", "yolo"):
        with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            task, source = make(name, Path(folder) / "set")
            overrides = [f"task={task}", f"dataset.root={source}", "dataset.min_images_per_class=1"]
            _ended(["inspect", *overrides])
            configurations.setdefault(task, compose(overrides, load_plugins()))
    return configurations


def listing(root: Path) -> list[tuple[object, ...]]:
    found = []
    for base, inner, names in os.walk(root):
        for name in (*inner, *names):
            entry = os.lstat(os.path.join(base, name))
            found.append((base, name, entry.st_mode, entry.st_size, entry.st_mtime_ns))
    return sorted(found, key=repr)


def bound_child(seconds: int) -> None:
    """End this process after ``seconds``, and give it little memory and no privileges."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _without_privileges()
    limit = psutil.Process().memory_info().data + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _child(root: Path, config: Config, files: list[Path]) -> None:
    """Never returns."""
    try:
        output, errors, said, more, touched, codes = files
        gc.freeze()
        inspecting.compose = lambda *_: config
        bound_child(SECONDS)
        notes = touched.open("a", buffering=1)
        with codes.open("a", buffering=1) as ended:
            _watch(root.parent, root, notes)
            for form, out, err in ((["--json"], output, errors), ([], said, more)):
                for number, path in ((1, out), (2, err)):
                    os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
                # As in a terminal, not as pytest has it.
                sys.stdout = io.TextIOWrapper(io.FileIO(os.dup(1), "w"), encoding="utf-8", write_through=True)
                sys.stderr = io.TextIOWrapper(io.FileIO(os.dup(2), "w"), encoding="utf-8", errors="backslashreplace",
                                              write_through=True)
                print(_ended(["inspect", *form]), file=ended)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ended(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    return 1


def _without_privileges() -> None:
    """For root, too, a file may be unreadable."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "capget"):
        header, sets = struct.pack("<Ii", 0x20080522, 0), (ctypes.c_uint32 * 6)()
        libc.capget(header, sets)
        for number in range(3):
            sets[number] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.capset(header, sets)


def _watch(beside: Path, root: Path, notes) -> None:
    """Note each file that is opened beside the data set, or for writing anywhere but in the cache."""
    beside, root = os.path.realpath(beside), os.path.realpath(root)
    free = (os.path.realpath(os.environ["SIGHTSMITH_CACHE"]), os.path.realpath(os.path.dirname(notes.name)), "/dev/")
    special = ("/dev/zero", "/etc/passwd")

    def hook(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            path, flags = os.path.realpath(os.fsdecode(arguments[0])), arguments[2] or 0
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            outside = path.startswith(beside + os.sep) and not (path + os.sep).startswith(root + os.sep)
            if (outside or writes) and not path.startswith(free) or path in special:
                notes.write(f"{'wrote' if writes else 'read'} {ascii(path)}\n")
        elif event in ("os.mkdir", "os.remove", "os.rename", "os.symlink", "os.chmod"):
            folder = os.path.realpath(f"/proc/self/fd/{arguments[-1]}") if arguments[-1] != -1 else ""
            path = os.path.realpath(os.path.join(folder, os.fsdecode(arguments[0])))
            if not path.startswith(free):
                notes.write(f"{event} {ascii(path)}\n")

    sys.addaudithook(hook)


@dataclass(frozen=True)
class Case:
    """A mutated data set or a hostile image, and what is wrong with its outcome ("" if nothing is)."""

    seed: int
    name: str
    kinds: tuple[str, ...]
    text: str
    outcome: Outcome
    fault: str


def dataset_case(seed: int, folder: Path) -> Case:
    """Mutate a data set in the empty ``folder``, and inspect it."""
    root = folder / "set"
    write_canaries(folder)
    name, task, source, mutations = mutated(seed, root)
    outcome = inspect(root, task, source)
    names = {mutation.file for mutation in mutations}
    fault = _broken_promise(outcome, root, names) or _wrong_values(outcome, _unharmed(name), mutations)
    return Case(seed, name, tuple(mutation.kind for mutation in mutations),
                ", ".join(f"{mutation.file}: {mutation.kind}" for mutation in mutations), outcome, fault)


def image_case(seed: int, folder: Path) -> Case:
    """Put a hostile image among good ones in the empty ``folder``, and inspect them."""
    root = folder / "set"
    write_canaries(folder)
    folders(root)
    name, kind, content = hostile(seed)
    (root / "cat" / name).write_bytes(content)
    outcome = inspect(root, "classification")
    fault = _broken_promise(outcome, root, {f"cat/{name}"})
    if not fault and outcome.code == 0 and sum(outcome.values["images"].values()) < 9:
        fault = "an image is left out"
    return Case(seed, name.rpartition(".")[2], (kind,), name, outcome, fault)


@cache
def _unharmed(name: str) -> dict:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        write_canaries(Path(folder))
        outcome = inspect(root, *make(name, root))
    assert outcome.code == 0, (name, outcome)
    return outcome.values


def _broken_promise(outcome: Outcome, root: Path, names: set[str]) -> str:
    """What no outcome may be."""
    text = outcome.output + outcome.errors + outcome.said
    if outcome.code not in (0, 2):
        return f"ended with {outcome.code}"
    if outcome.code != outcome.said_code:
        return f"ended with {outcome.code}, but with {outcome.said_code} without --json"
    if "Traceback" in text:
        return "a trace"
    if CANARY in text or "root:x:0" in text:
        return "what lies beside the data set is shown"
    if outcome.touched:
        return "; ".join(outcome.touched)
    if (control := CONTROL.search(outcome.said + outcome.errors)) is not None:
        return f"a control character is printed: {control[0]!r}"
    if outcome.code == 2 and not _names_a_file(outcome, root, names):
        return "no file is named"
    return ""


def _names_a_file(outcome: Outcome, root: Path, names: set[str]) -> bool:
    known = names | {path.relative_to(root).as_posix() for path in root.rglob("*")}
    words = {part for name in known for part in (name, Path(name).name)} | {str(root)}
    told = "\n".join(line for line in outcome.said.splitlines() if not line.startswith("Data set "))
    return any(word in told or ascii(word)[1:-1] in told for word in words) or bool(ABOUT_ALL.search(told))


def _wrong_values(outcome: Outcome, unharmed: dict, mutations: Sequence[Mutation]) -> str:
    """What is wrong with the values of a data set that was read, by those of the unharmed one."""
    if outcome.code != 0:
        return ""
    values = outcome.values
    known = [problem["message"] for problem in unharmed["problems"]]
    warned = any(problem["message"] not in known for problem in values["problems"])
    images, before = (sum(each["images"].values()) for each in (values, unharmed))
    if all(mutation.exact for mutation in mutations) and not warned \
            and values["data_digest"] != unharmed["data_digest"]:
        return "other values than before, without a warning"
    if images < before and not warned and not any(mutation.removes for mutation in mutations):
        return f"{images} of {before} images, without a warning"
    if len(values["classes"]) > len(unharmed["classes"]) + len(mutations):
        return f"classes: {', '.join(values['classes'])}"
    return ""
