"""A configuration of one's own, as a YAML file: what a data set's run would have, each value with its reason."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.contracts.keys import walk
from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.contracts.schema import AUTO, Config
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import make_folder, write_atomic
from sightsmith.core.util.text import counted, one_line
from sightsmith.engine.config.literal import without_interpolation
from sightsmith.engine.config.presets import is_file
from sightsmith.engine.pipeline.prepare import choose
from sightsmith.engine.pipeline.recipe import YOU, fixed_keys

SUFFIX = ".yaml"
WIDTH = 110
GROUPS = ("task.name", "network.name", "recipe", "tuner", "preference", "logger", "preset", "flow", "base_run")
"""Keys and groups that the file chooses as options of Hydra's groups, or that only these set."""
Lines = list[tuple[str, Any, str]]
"""Dotted keys with values and comments."""


def ensure_possible(config: Config, file: Path) -> None:
    """Raises UserError for an existing file, and for what a file cannot choose."""
    if file.exists():
        raise UserError(f"{file} already exists and is not overwritten", hint="choose another: file=NAME.yaml")
    if config.base_run.path is not None or is_file(config.preset.file):
        raise UserError("A configuration of your own cannot choose a base run or a preset's file",
                        hint="type base_run=... or preset=... with `sightsmith train` itself")


def write_own_config(file: Path, config: Config, overrides: Sequence[str], dataset: CheckedDataset, why_task: str,
                     plugins: Plugins) -> None:
    """Write the YAML file for ``config``, composed from ``overrides``, and what is chosen for ``dataset``; ``why_task``
    says why it has this task."""
    fixed = fixed_keys(config, overrides, plugins)
    chosen = choose(config, dataset, fixed, plugins)
    planned = chosen.applied(config)
    data = (f"{counted(len(dataset.index.classes), 'class', 'classes')}, "
            f"{counted(len(dataset.train), 'image')} for training, "
            f"{len(dataset.validation)} for validation")
    make_folder(file.parent)
    write_atomic(file, "\n".join([*_head(file, planned), *_defaults(planned, chosen, fixed, why_task),
                                  *_nested(_values(config, fixed, chosen, data))]) + "\n")


def command(file: Path) -> str:
    """The command that trains with ``file``."""
    return shlex.join(["sightsmith", "train", "--config-name", str(file.with_suffix(""))])


def _head(file: Path, config: Config) -> list[str]:
    return [f"# Train with it: {command(file)}",
            "# Change what you like; keys that you type still win. A value that you remove is chosen again.",
            f"# All keys: sightsmith train task={config.task.name} --help", ""]


def _defaults(config: Config, chosen: Recommendation, fixed: Mapping[str, str], why_task: str) -> list[str]:
    reasons = {item.key: item.reason for item in chosen.decisions}
    task = config.task.name
    others = f"others: sightsmith list networks --task {task}"
    choices: Lines = [("task", task, why_task)]
    if config.preset.name is not None:
        choices = [("preset", config.preset.name, "chooses task and network, and locks most keys")]
    else:
        why = reasons.get("network.name", fixed.get("network.name", "the default of the task"))
        choices.append(("network", config.network.name, f"{why}; {others}"))
        if config.tuner.name != AUTO:
            choices.append(("recipe", config.recipe, "chooses what is not set here"))
    choices.append(("logger", list(config.logger), "metric loggers"))
    if config.tuner.name not in (AUTO, "manual"):
        choices.append(("tuner", config.tuner.name, "searches hyperparameters"))
    return ["defaults:", "  - config", "  - _self_",
            *(line for key, value, reason in choices
              for line in _commented(f"  - override {key}: {_value(value)}", reason)), ""]


def _values(config: Config, fixed: Mapping[str, str], chosen: Recommendation, data: str) -> Lines:
    """What was typed, and what was chosen, in the order of the schema."""
    decided = {item.key: item for item in chosen.decisions}
    typed: Lines = [(key, value, YOU) for key, _, value in walk(config)
                    if fixed.get(key) == YOU and key not in decided and key != "dataset.root"]
    found: dict[str, tuple[str, Any, str]] = {key: (key, value, why) for key, value, why in typed}
    found |= {key: (key, item.value, item.reason) for key, item in decided.items()}
    found["dataset.root"] = ("dataset.root", config.dataset.root, data)
    order = [key for key, _, _ in walk(config)]
    return [found[key] for key in order if key in found
            and not any(key == group or key.startswith(f"{group}.") for group in GROUPS)]


def _nested(lines: Lines) -> list[str]:
    """``lines`` as nested YAML with comments."""
    result: list[str] = []
    open_groups: list[str] = []
    for key, value, comment in lines:
        *groups, name = key.split(".")
        common = 0
        while common < min(len(groups), len(open_groups)) and groups[common] == open_groups[common]:
            common += 1
        for depth in range(common, len(groups)):
            result += [""] if depth == 0 and result else []
            result.append(f"{'  ' * depth}{groups[depth]}:")
        open_groups = groups
        result += _commented(f"{'  ' * len(groups)}{name}: {_value(value)}", comment)
    return result


def _value(value: Any) -> str:
    """``value`` in YAML, of which JSON is a part; plain words without quotes."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w/.-]*", value) \
            and value.lower() not in ("null", "true", "false", "yes", "no", "on", "off", "y", "n"):
        return value
    if isinstance(value, float):
        return repr(float(value)) if "e" not in repr(value) else f"{value:.12f}".rstrip("0")
    return json.dumps(without_interpolation(value), ensure_ascii=False)


def _commented(line: str, comment: str) -> list[str]:
    """``line`` with its comment: after it, or before it if it is long."""
    text = " ".join(one_line(comment).split())
    if len(line) + len(text) <= WIDTH:
        return [f"{line}  # {text}"]
    mark = f"{' ' * (len(line) - len(line.lstrip()))}# "
    return [*textwrap.wrap(text, WIDTH, initial_indent=mark, subsequent_indent=mark), line]
