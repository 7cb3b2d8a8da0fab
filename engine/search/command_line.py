"""``sightsmith train`` as a Hydra application. Hydra's own errors come out as ours, with exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.engine.config.compose import install
from sightsmith.engine.config.explain import explain
from sightsmith.engine.config.overrides import familiar_key, typed_overrides
from sightsmith.engine.pipeline.find_task import spelled_out, with_task
from sightsmith.engine.runs.resources import shortage_explained
from sightsmith.engine.search.hydra_task import HydraTask
from sightsmith.engine.search.own_file import with_folder

RERUN, MULTIRUN = "--experimental-rerun", "--multirun"
FLAGS = ("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run", MULTIRUN,
         "--shell-completion", "--config-path", "--config-name", "--config-dir", RERUN, "--info")
"""Flags of Hydra, which also accepts abbreviations of them."""
ALONE = (MULTIRUN, "-m", "--run", "-r", "--resolve")
"""Those without a value."""
OWN_FILES = ("--co", "-cd", "-cn", "-cp", "-s", "--s")
"""Beginnings of Hydra's flags that name a configuration of your own, which may choose the task, or complete a word."""


def is_override(text: str) -> bool:
    return text.startswith("~") or ("=" in text and not text.startswith("-"))


def _ensure_known(arguments: Sequence[str]) -> None:
    """Raises UserError for flags that Hydra does not have, which are keys in other trainers, and for words alone."""
    problems = []
    for before, text, following in zip(["", *arguments], arguments, [*arguments[1:], ""], strict=False):
        name, equals, value = text.partition("=")
        if name.startswith("--") and not any(flag.startswith(name) for flag in FLAGS):
            key = familiar_key(name[2:]) or name[2:].replace("-", "_")
            value = value if equals else following if following and not following.startswith("-") else "VALUE"
            problems.append(Problem(f"unknown flag {name}", hint=f"keys have no dashes: type {key}={value}"))
        elif not text.startswith("-") and not is_override(text) and (not before.startswith("-") or before in ALONE):
            hint = f"type dataset={text}" if os.path.exists(text) else "type key=value"
            problems.append(Problem(f"{text!r} sets nothing", hint=hint))
    if problems:
        raise UserError("Invalid command line:", problems=problems,
                        hint="All keys and choices: `sightsmith train --help`")


def train_with_hydra(arguments: Sequence[str], plugins: Plugins) -> None:
    """Train with ``arguments``, overrides and flags of Hydra.

    Raises what the run raises, and UserError for a configuration that cannot be composed.
    """
    if any(len(text) > 2 and RERUN.startswith(text.partition("=")[0]) for text in arguments):
        raise UserError(f"{RERUN} would unpickle a file, which can execute code",
                        hint="type `sightsmith verify run=RUN rerun=true` to train a finished run again")
    flags = [text for text in arguments if not is_override(text)]
    _ensure_known(arguments)
    multirun = any(text == "-m" or len(text) > 2 and MULTIRUN.startswith(text) for text in flags)
    typed = list(filter(is_override, arguments))
    shown = any(text == "-c" or text.startswith("--cf") for text in flags)
    typed = spelled_out(typed)
    flags, own = with_folder(flags), any(text.startswith(OWN_FILES) for text in flags)
    if not own:
        typed = with_task(typed, plugins, partial(print, file=sys.stderr) if shown else print)
    overrides = typed_overrides(typed, plugins, multirun=multirun)
    install(overrides, plugins)
    # Hydra would print an error and exit with 1; this makes it raise instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra requires its flags on one side of the overrides.
    sys.argv = ["sightsmith train", *flags, *overrides]

    errors: list[Exception] = []

    class Application(HydraTask):
        def __call__(self, composed: DictConfig) -> float | None:
            try:
                with shortage_explained():  # also of importing torch
                    return super().__call__(composed)
            except Exception as error:
                if HydraConfig.get().mode == RunMode.MULTIRUN:
                    raise
                errors.append(error)  # raised below: Hydra would print the overrides first
                return None

    try:
        hydra.main(version_base="1.3", config_path=None, config_name="config")(Application(plugins))()
        if errors:
            raise errors[0]
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, overrides, plugins, own_file=own) from error
