"""sightsmith: train computer-vision models on your own images.

``sightsmith.train(dataset="photos", hyper={"epochs": 20})`` is the command ``sightsmith train dataset=photos
hyper.epochs=20`` from Python; the other functions are the commands of their names.
Nothing heavy is imported until one of the functions is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sightsmith.core.util.errors import ExportError, UserError

if TYPE_CHECKING:
    from sightsmith.core.contracts.plan import Plan
    from sightsmith.engine.pipeline.evaluate import Evaluation
    from sightsmith.engine.pipeline.export import Export
    from sightsmith.engine.pipeline.inspect import Inspection
    from sightsmith.engine.pipeline.result import Result
    from sightsmith.engine.runs.listing import Runs

__version__ = "0.1.0"
__all__ = ["ExportError", "UserError", "__version__", "evaluate", "export", "inspect", "list_runs", "load", "plan",
           "train"]

Function = TypeVar("Function", bound=Callable[..., Any])


def _with_quiet_libraries(function: Function) -> Function:
    """``function`` without the warnings that libraries write for programmers, as the command line shows none."""
    @wraps(function)
    def quiet(*arguments: Any, **settings: Any) -> Any:
        from sightsmith.engine.runs.library_warnings import warnings_in_log

        with warnings_in_log():
            return function(*arguments, **settings)

    return quiet  # type: ignore[return-value]


@_with_quiet_libraries
def train(overrides: Sequence[str] = (), **settings: Any) -> Result:
    """Train like ``sightsmith train`` and return the :class:`Result` of the run, or of a search's best run.

    ``overrides`` are Hydra overrides, as on the command line, of several values with a tuner or ``--multirun`` among
    them; ``settings`` are keys with values of Python, nested
    (``hyper={"epochs": 20}``) or dotted (``**{"hyper.epochs": 20}``). Raises
    :class:`UserError` for everything that the command line reports with exit code 2, and
    KeyboardInterrupt when it is stopped (Ctrl-C, or the stop button of a notebook): its message is the call that
    resumes the run.
    """
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.engine.search.application import train as run_train

    return run_train(_overrides("train", overrides, settings), load_plugins())


@_with_quiet_libraries
def plan(overrides: Sequence[str] = (), **settings: Any) -> Plan:
    """What :func:`train` would do with the same arguments: it checks the data and measures a few steps. Nothing is
    written. Raises UserError like :func:`train`."""
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.engine.search.application import plan as make_plan

    return make_plan(_overrides("plan", overrides, settings), load_plugins())


@_with_quiet_libraries
def inspect(overrides: Sequence[str] = (), **settings: Any) -> Inspection:
    """Read and check a data set like ``sightsmith inspect``; the arguments are those of :func:`train`.

    Problems of the data set are returned, with file and line. Raises UserError if there is no data set.
    """
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.engine.pipeline.inspect import inspect as run_inspect

    return run_inspect(_overrides("inspect", overrides, settings), load_plugins())


@_with_quiet_libraries
def load(run: str | os.PathLike[str] | Result) -> Result:
    """The :class:`Result` of the finished run ``run``: its folder, its name, or ``last``. Raises UserError if there is
    no such run, or if it is not finished."""
    from sightsmith.engine.pipeline.result import Result

    return run if isinstance(run, Result) else Result.load(os.fspath(run))


@_with_quiet_libraries
def evaluate(run: str | os.PathLike[str] | Result, dataset: str | os.PathLike[str] | Mapping[str, Any] | None = None, *,
             split: str | None = None, tta: bool = False, output_dir: str | os.PathLike[str] | None = None,
             ) -> Evaluation:
    """Evaluate a finished run on labelled images like ``sightsmith evaluate``, and write a report.

    ``run`` is as in :func:`load`; ``dataset`` is a folder or zip, or a mapping with ``root``, ``format``, ``group_by``
    and ``class_map``, by default the run's own data. Each split is evaluated, or only ``split``; ``tta`` combines the
    predictions for flipped views. The report goes to a new folder in ``output_dir``, by default ``evaluations`` of the
    run. Raises UserError for data that cannot be used.
    """
    from sightsmith.engine.pipeline.evaluate import evaluate as run_evaluate

    return run_evaluate(load(run), _dataset(dataset), split, _folder(output_dir), tta=tta)


@_with_quiet_libraries
def export(run: str | os.PathLike[str] | Result, format: str = "onnx",
           dataset: str | os.PathLike[str] | Mapping[str, Any] | None = None, *, tolerance: float = 1e-3,
           output_dir: str | os.PathLike[str] | None = None) -> Export:
    """Write the model of a finished run for other programs like ``sightsmith export``, compared with the original.

    ``run`` and ``dataset`` are as in :func:`evaluate`; the models are compared on the validation images, or on those of
    ``dataset``, and no output may differ by more than ``tolerance``. The files go to a new folder in ``output_dir``, by
    default ``exports`` of the run. Raises :class:`ExportError` if the models differ, and
    UserError for a format that is not there.
    """
    from sightsmith.engine.pipeline.export import export as run_export

    result = load(run)
    return run_export(result, format, result.plugins, _dataset(dataset), tolerance, _folder(output_dir))


def list_runs(output_dir: str | os.PathLike[str] = "runs", task: str | None = None) -> Runs:
    """The runs in a folder like ``sightsmith list runs``, finished or not, the oldest first; of one ``task`` or of
    all."""
    from sightsmith.engine.runs.listing import list_runs as find_runs

    return find_runs(Path(output_dir), task)


def _overrides(function: str, overrides: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
    from sightsmith.core.util.errors import UserError
    from sightsmith.engine.search.keywords import as_overrides

    if isinstance(overrides, str):
        raise UserError(f"{function}({overrides!r}): overrides are a list", hint=f"type {function}([{overrides!r}])")
    return [*overrides, *as_overrides(settings)]


def _dataset(dataset: str | os.PathLike[str] | Mapping[str, Any] | None) -> dict[str, str]:
    """The keys of ``evaluate`` and ``export``."""
    from sightsmith.engine.config.literal import unquoted
    from sightsmith.engine.search.keywords import as_overrides

    if not isinstance(dataset, Mapping):
        dataset = {} if dataset is None else {"root": dataset}
    pairs = (override.partition("=") for override in as_overrides({"dataset": dataset}))
    return {key: unquoted(value) for key, _, value in pairs}


def _folder(path: str | os.PathLike[str] | None) -> Path | None:
    from sightsmith.core.util.files import resolved_path

    return None if path is None else resolved_path(os.fspath(path))
