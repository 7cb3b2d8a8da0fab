"""Says in our words what Hydra says of a configuration that cannot be composed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import resolved_path
from sightsmith.engine.config.overrides import chosen_options, override_problems, parse_overrides
from sightsmith.engine.config.run_plugins import ensure_plugins


def explain(error: Exception, overrides: Sequence[str], plugins: Plugins, *, own_file: bool = False) -> UserError:
    """Hydra's ``error`` about ``overrides`` as a UserError with every unknown key, option and value. With ``own_file``,
    a file of the user's may be at fault, and may choose the task."""
    if isinstance(error, UserError):
        return error
    try:
        for folder in chosen_options(parse_overrides(overrides), "trainer.resume"):
            ensure_plugins(resolved_path(folder), plugins)
    except UserError as missing:
        return missing
    try:
        problems = [*override_problems(overrides, plugins, needs_task=not own_file), *_several_values(error, overrides)]
    except HydraException as syntax:
        return UserError(f"An override cannot be parsed: {str(syntax).strip().splitlines()[0]}",
                         hint="Overrides have the form key=value; quote lists for the shell: 'image.windows=[[40,80]]'")
    if taken := re.search(r"'([^']+)' is validated against ConfigStore schema with the same name", str(error)):
        return UserError(f"Your file {taken[1]}.yaml has the same name as a plugin's file",
                         hint="rename your file")
    if problems:
        return UserError("The configuration cannot be composed:", problems=problems,
                         hint="All keys and choices: `sightsmith train --help`")
    return UserError(f"The configuration cannot be composed: {str(error).strip()}",
                     hint="correct your file" if own_file else None)


def _several_values(error: Exception, overrides: Sequence[str]) -> Iterator[Problem]:
    """The overrides with several values, if ``error`` is Hydra's that these are for a search."""
    if "Ambiguous value for argument" in str(error) or "requires --multirun" in str(error):
        for override in filter(Override.is_sweep_override, parse_overrides(overrides)):
            hint = "add tuner=random to search it, or give one value" if override.is_interval_sweep() else \
                "add --multirun to train a run with each, or tuner=NAME to search them, or give one value"
            yield Problem(f"{override.input_line} has several values, and a run takes one", hint=hint)
