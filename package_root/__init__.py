"""sightsmith: train computer-vision models on your own images.

``sightsmith.train(["task=classification", "dataset.root=photos"])`` is the command
``sightsmith train task=classification dataset.root=photos`` from Python.
Nothing heavy is imported until one of the functions is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sightsmith.engine.pipeline.result import Result

__version__ = "0.1.0"
__all__ = ["__version__", "load", "train"]


def train(overrides: list[str] | None = None) -> Result:
    """Train like ``sightsmith train`` and return the :class:`Result` of the run, or of a search's best run.

    ``overrides`` are Hydra overrides, as on the command line. Raises
    :class:`sightsmith.core.util.errors.UserError` for everything that the command line reports with exit code 2.
    """
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.engine.search.application import train as run_train

    return run_train(list(overrides or []), load_plugins())


def load(run: str) -> Result:
    """The :class:`Result` of the finished run in the folder ``run``."""
    from sightsmith.engine.pipeline.result import Result

    return Result.load(run)
