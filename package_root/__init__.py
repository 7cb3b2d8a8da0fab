"""sightsmith: train computer-vision models on your own images.

``sightsmith.train(dataset="photos", hyper={"epochs": 20})`` is the command ``sightsmith train dataset=photos
hyper.epochs=20`` from Python.
Nothing heavy is imported until one of the functions is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightsmith.engine.pipeline.result import Result

__version__ = "0.1.0"
__all__ = ["__version__", "load", "train"]


def train(overrides: Sequence[str] = (), **settings: Any) -> Result:
    """Train like ``sightsmith train`` and return the :class:`Result` of the run, or of a search's best run.

    ``overrides`` are Hydra overrides, as on the command line; ``settings`` are keys with values of Python, nested
    (``hyper={"epochs": 20}``) or dotted (``**{"hyper.epochs": 20}``). Raises
    :class:`sightsmith.core.util.errors.UserError` for everything that the command line reports with exit code 2.
    """
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.core.util.errors import UserError
    from sightsmith.engine.search.application import train as run_train
    from sightsmith.engine.search.keywords import as_overrides

    if isinstance(overrides, str):
        raise UserError(f"train({overrides!r}): overrides are a list", hint=f"type train([{overrides!r}])")
    return run_train([*overrides, *as_overrides(settings)], load_plugins())


def load(run: str) -> Result:
    """The :class:`Result` of the finished run ``run``: its folder, its name, or ``last``."""
    from sightsmith.engine.pipeline.result import Result

    return Result.load(run)
