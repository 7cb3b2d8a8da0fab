"""A configuration file of the user's own: ``sightsmith train --config-name FILE``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sightsmith.core.contracts.keys import walk
from sightsmith.core.contracts.schema import MANUAL, Config
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError, near
from sightsmith.core.util.files import typed_path
from sightsmith.core.util.reading import read_yaml
from sightsmith.engine.config.literal import from_anywhere, path_keys
from sightsmith.engine.search.keywords import as_overrides

OWN = {"--config-name": "-cn", "--config-dir": "-cd"}
"""Flags with the name and the folder of a file of your own."""
NOT_KEYS = ("defaults", "hydra")
"""What such a file has besides keys of the configuration."""


def with_folder(flags: Sequence[str]) -> list[str]:
    """``flags`` with the folder of the file that ``--config-name`` names, which Hydra would not look for here.

    Raises UserError if there is no such file."""
    found: dict[str, str] = {}
    others: list[str] = []
    rest = iter(flags)
    for text in rest:
        flag, equals, value = text.partition("=")
        name = next((name for name, short in OWN.items()
                     if flag == short or len(flag) > len("--config-") and name.startswith(flag)), "")
        if name:
            found[name] = value if equals else next(rest, "")
        else:
            others.append(text)
    if "--config-name" in found:
        named = typed_path(found["--config-name"].removesuffix(".yaml"))
        folder = typed_path(found.get("--config-dir", ".")) / named.parent
        file = folder / f"{named.name}.yaml"
        if not file.is_file() and named.name != "config":
            there = [path.stem for path in folder.glob("*.yaml")]
            raise UserError(f"--config-name {found['--config-name']}: there is no file {file}."
                            f"{near(named.name, there)}", hint="`sightsmith init dataset=FOLDER` writes one")
        found |= {"--config-name": named.name, "--config-dir": str(folder)} if file.is_file() else {}
    return [*others, *(part for pair in found.items() for part in pair)]


def own_file(hydra: Mapping[str, Any]) -> Path | None:
    """The user's own file, according to Hydra's own node; None if there is none."""
    folders = [source["path"] for source in hydra["runtime"]["config_sources"] if source["provider"] == "command-line"]
    files = [Path(folder) / f"{hydra['job']['config_name']}.yaml" for folder in folders]
    return files[0] if files and files[0].is_file() else None


def spelled_out(hydra: Mapping[str, Any], config: Config, typed: Sequence[str]) -> list[str]:
    """``typed`` overrides after those that say what the user's own file chooses and sets, if there is one: a run must
    know what is set, even to a default, and be resumed and repeated without the file.

    ``hydra`` is Hydra's own node, ``config`` what is composed of all.
    """
    file = own_file(hydra)
    if file is None:
        return list(typed)
    names = [*_keys(read_yaml(file, {}))]
    options = hydra["runtime"]["choices"]
    choices = {group: options.get(group) for group in ("preset", "task", "network", "recipe", "tuner")}
    if choices["preset"] is not None:
        choices = {"preset": choices["preset"], "tuner": choices["tuner"]}
    if choices["tuner"] == MANUAL:
        del choices["tuner"]
    chosen = [f"{group}={choice}" for group, choice in choices.items() if choice is not None]
    values = {key: value for key, _, value in walk(config)
              if key != "logger" and any(f"{name}.".startswith(f"{key}.") for name in names)}
    values |= {f"logger.{name}.{option}": value for name, options in config.logger.items()
               for option, value in options.items() if f"logger.{name}.{option}" in names}
    own = [*chosen, f"logger=[{','.join(config.logger)}]", *as_overrides(values)]
    keys = {text.lstrip("+").partition("=")[0] for text in typed}
    return [*(text for text in own if text.lstrip("+").partition("=")[0] not in keys), *typed]


def own_paths(hydra: Mapping[str, Any], config: DictConfig, plugins: Plugins) -> list[str]:
    """Overrides with the absolute paths of what the user's own file names by relative ones: a search is resumed with
    its file, perhaps in another folder."""
    file = own_file(hydra)
    if file is None:
        return []
    typed = {text.lstrip("+").partition("=")[0] for text in hydra["overrides"]["task"]}
    names = {*_keys(read_yaml(file, {}))} - typed
    values: Any = {key: OmegaConf.select(config, key) for key in path_keys() if key in names}
    found = as_overrides({key: value for key, value in values.items() if isinstance(value, str)})
    return [text for text, before in zip(from_anywhere(found, plugins), found, strict=True) if text != before]


def _keys(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted keys of what ``content`` sets."""
    for name, value in content.items():
        if prefix or name not in NOT_KEYS:
            yield from _keys(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [f"{prefix}{name}"]
