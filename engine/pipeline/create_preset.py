"""``sightsmith preset create``: a preset with its weights from a finished run, as a file or as a plugin package."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sightsmith.core.contracts.keys import is_among
from sightsmith.core.contracts.record import Provider
from sightsmith.core.contracts.schema import Config, PresetConfig
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import fill_file, fill_folder, make_folder, write_atomic
from sightsmith.core.util.reading import Damaged, read_json, to_yaml
from sightsmith.engine.config.base_run import recipe
from sightsmith.engine.config.literal import validate_no_interpolation
from sightsmith.engine.config.model_card import CARD, HINT, WEIGHTS, read_card, restore_config
from sightsmith.engine.config.overrides import all_keys
from sightsmith.engine.config.presets import SUFFIX, load_presets
from sightsmith.engine.config.run_plugins import ensure_plugins
from sightsmith.engine.runs.run_dir import RunDir

CARD_KEYS = ("title", "description", "modality", "body_part", "images", "licence", "tunable")
"""Keys of the card that the author may set; the others describe the run."""

TUNABLE = ["augment.rotation", "augment.translation"]
UNLICENSED = "not stated"

HEAD = """\
# {title}{description}
#   sightsmith train preset={choice} dataset.root=FOLDER
# Data: {annotation}, classes {classes}.{images}
# Weights: {weights}, the result of the run {run}, which started from {start}.
# Licence of this file and of the weights: {licence}. Reference score: {score}.
"""

PROJECT = """\
[build-system]
requires = ["setuptools>=69"]
build-backend = "setuptools.build_meta"

[project]
name = {distribution}
version = "0.1.0"
description = {description}
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["sightsmith>={version}"]

[project.entry-points."sightsmith.plugins"]
{name} = "{package}.plugin"

[tool.setuptools]
packages = ["{package}"]

[tool.setuptools.package-data]
"*" = ["*.yaml", "*.safetensors"]
"""

PLUGIN = '''\
"""Registers the preset of this package."""

from __future__ import annotations

from sightsmith.plugin import PresetFolder, hookimpl


@hookimpl
def sightsmith_presets() -> list[PresetFolder]:
    return [PresetFolder("{package}")]
'''

README = """\
# {title}

{description}A preset of sightsmith with its weights.

```
pip install {distribution}
sightsmith list presets {name}
sightsmith train preset={name} dataset.root=FOLDER
```

Licence: {licence}. Reference score: {score}.
"""


def create_preset(path: Path, name: str, output_dir: Path, own: Mapping[str, Any], plugins: Plugins, *,
                  package: bool) -> Path:
    """Write a preset with the recipe of the finished run in ``path``, which starts from its weights.

    Returns the preset's YAML file in ``output_dir``, or, with ``package``, the folder of a Python distribution there.
    ``own`` are the author's :data:`CARD_KEYS`. Raises UserError if the run is not finished, the name or a key is
    invalid, or the file or folder exists already.
    """
    run = RunDir(path)
    content = read_card(path)
    ensure_plugins(path, plugins)
    config = restore_config(content["config"], run.model / CARD, plugins.tasks)
    distribution = f"sightsmith-{name.replace('_', '-')}"
    target = output_dir / (distribution if package else name + SUFFIX)
    _validate(name, target, distribution, own, plugins)
    card = _card(run, config, content, name, own, plugins)
    try:
        validate_no_interpolation(asdict(card))
    except ValueError as error:
        raise UserError(f"The preset cannot be written: {error}", hint="type another title=... or description=...",
                        ) from error
    values = _values(config, content)
    if package:
        fill_folder(target, lambda folder: _write_package(folder, run, config, card, values, distribution))
    else:
        make_folder(output_dir)
        _write_preset(output_dir, run, config, card, values, target.name)
    return target


def _validate(name: str, target: Path, distribution: str, own: Mapping[str, Any], plugins: Plugins) -> None:
    problems, presets = [], load_presets(plugins)
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        problems.append(Problem(f"name={name} must be lower-case letters, digits and _, and start with a letter"))
    elif name in presets and not _is_of(presets[name].provider, distribution):
        problems.append(Problem(f"name={name}: {presets[name].provider} already has a preset of this name"))
    keys = {key for key, _, _ in all_keys(plugins)}
    for key in own.get("tunable", ()):
        if not any(is_among(known, (key,)) for known in keys):
            problems.append(Problem(f"tunable: unknown key {key!r}", hint="`sightsmith train --help` shows all keys"))
    for path in (target, target.with_suffix(".safetensors")):
        if path.exists():
            problems.append(Problem(f"{path} exists already", hint="choose another name or output_dir"))
    if problems:
        raise UserError("The preset cannot be written:", problems=problems)


def _is_of(provider: Provider | Path, distribution: str) -> bool:
    return isinstance(provider, Provider) and provider.distribution == distribution


def _card(run: RunDir, config: Config, content: Mapping[str, Any], name: str, own: Mapping[str, Any],
          plugins: Plugins) -> PresetConfig:
    """The facts of the run, then those of its own preset about images, then the author's, which take precedence."""
    from sightsmith.core.util.text import format_metric
    from sightsmith.engine.runs.weights import file_digest

    data = _data(run)
    task = plugins.task(content["task"])
    annotation: str = plugins.network(content["network"]).annotation_of(config.network.config) or task.annotation
    if annotation == "labels":
        annotation = "multi-label" if content["multi_label"] else "single-label"
    metrics = content["metrics"]
    key, where = task.score, f"{data['images']['validation']} validation images" if data else "its validation split"
    if f"cv_{key}" in metrics:
        key, where = f"cv_{key}", "cross-validation"
    score = (f"{task.score} {format_metric(metrics.get(key))} (95 % confidence interval "
             f"{format_metric(metrics.get(f'{key}_low'))} "
             f"to {format_metric(metrics.get(f'{key}_high'))}), {where} of the run {run.path.name}")
    earlier = {key: value for key, value in asdict(config.preset).items()
               if key in ("title", "description", "modality", "dicom_modalities", "body_part", "images")}
    if not config.preset.name:
        earlier = {"title": name.replace("_", " ").capitalize(), "description": " ".join(config.description.split()),
                   "dicom_modalities": data.get("modalities", [])}
    return PresetConfig(**{
        **earlier, "tunable": TUNABLE, "licence": UNLICENSED, **own, "name": name, "annotation": annotation,
        "classes": content["classes"], "cases": (data.get("groups") or sum(data["images"].values())) if data else None,
        "score": score, "weights": f"{name}.safetensors", "weights_sha256": file_digest(run.model / WEIGHTS)})


def _data(run: RunDir) -> dict[str, Any]:
    """The run's description of its data; empty if it has none. Raises UserError if it is damaged."""
    if not os.path.lexists(run.data):
        return {}
    found: dict[str, Any] = read_json(run.data, {"images": dict, "groups": int | None, "modalities": list | None}, HINT)
    counts = found["images"]
    if "validation" not in counts or not all(type(count) is int for count in counts.values()):
        raise Damaged(run.data, "images has other than the number of images of each split", HINT)
    return found


def _values(config: Config, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the preset sets: the whole recipe of the run, so that no default of another version changes it."""
    values = recipe(config)
    values["image"]["size"] = content["input_size"]
    values["dataset"] |= {"folds": "auto", "group_by": config.dataset.group_by}
    values["network"] = {key: value for key, value in values["network"].items() if value}
    return {part: keys for part, keys in values.items() if keys}


def _write_preset(folder: Path, run: RunDir, config: Config, card: PresetConfig, values: Mapping[str, Any],
                  choice: str) -> None:
    """Writes the weights first, so that a preset that exists is complete."""
    fill_file(folder / card.weights, partial(shutil.copyfile, run.model / WEIGHTS))
    kept = {key: value for key, value in asdict(card).items() if value and key != "name"}
    title = kept.pop("title")
    lines = {"title": title, "task": config.task.name, "network": config.network.name, **kept, "config": values}
    head = HEAD.format(
        title=title, description=f": {card.description}" if card.description else "", choice=choice,
        annotation=card.annotation, classes=", ".join(card.classes),
        images=f" {card.images}." if card.images else "", weights=card.weights, run=run.path.name,
        start=_start(config), licence=card.licence, score=card.score)
    comment = "\n".join(wrapped for line in head.splitlines() for wrapped in _wrapped(line))
    body = to_yaml(lines)
    write_atomic(folder / f"{card.name}{SUFFIX}", f"{comment}\n{body}")


def _wrapped(line: str) -> list[str]:
    if line.startswith("#   "):  # a command
        return [line]
    return textwrap.wrap(line, 110, subsequent_indent="#   ", break_long_words=False)


def _start(config: Config) -> str:
    """What the run itself started from, without folders of this machine."""
    if config.base_run.path is not None:
        return f"the run {Path(config.base_run.path).name}"
    weights = config.network.weights
    known = {"none": "nothing", "published": "published weights", "backbone": "a published backbone"}
    return known.get(weights, Path(weights).name)


def _write_package(folder: Path, run: RunDir, config: Config, card: PresetConfig, values: Mapping[str, Any],
                   distribution: str) -> None:
    package = distribution.replace("-", "_")
    code = folder / package
    code.mkdir()
    _write_preset(code, run, config, card, values, str(card.name))
    facts = {"name": card.name, "package": package, "distribution": distribution, "title": card.title,
            "version": version("sightsmith"), "licence": card.licence, "score": card.score}
    (code / "__init__.py").write_text("")
    (code / "plugin.py").write_text(PLUGIN.format(**facts))
    (folder / "README.md").write_text(README.format(
        **facts, description=f"{card.description}\n\n" if card.description else ""))
    (folder / "pyproject.toml").write_text(PROJECT.format(**facts | {
        "distribution": json.dumps(distribution),
        "description": json.dumps(f"{card.title}, a preset of sightsmith", ensure_ascii=False)}))
