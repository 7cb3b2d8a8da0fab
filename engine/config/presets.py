"""Presets: complete, named configurations that lock what they set.

A preset is a YAML file of your own, or in a package that a plugin registers with ``sightsmith_presets``. Its keys are
those of :class:`Preset`; ``config`` holds the configuration that it sets.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.record import Provider
from sightsmith.core.contracts.schema import PLATFORM, PresetConfig
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.digest import digest
from sightsmith.core.util.errors import UserError, near
from sightsmith.core.util.files import resolved_path
from sightsmith.core.util.reading import Kind, parse_yaml, read_text, validate_fields
from sightsmith.engine.config.literal import quoted, unquoted, validate_no_interpolation, without_interpolation

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


SUFFIX = ".yaml"
OWN = Path("presets")
"""Where ``sightsmith preset create`` puts presets of your own."""

SETS = ("task", "image", "network", "dataset", "augment", "hyper", "limits")
"""The groups that a preset may set, of ``task`` the task's own keys; with Hydra's own keys, its file could start
programs."""

CARD: Mapping[str, Kind] = {name: {"list[Any]": list, "int | None": int | None}.get(str(entry.type), str)
                            for entry in dataclasses.fields(PresetConfig)
                            if (name := entry.name) not in ("name", "file")}
"""The keys of the card that a file may have."""
NEEDED: Mapping[str, Kind] = {"task": str, "network": str, "title": str, "annotation": str, "config": dict | None}


@dataclass(frozen=True)
class Preset:
    """The content of a preset's file: ``card`` describes it, ``config`` has its values by nested keys.

    ``provider`` is its plugin or, for a preset of your own, its file; ``weights`` is the file that the card names.
    """

    name: str
    task: str
    network: str
    card: PresetConfig
    provider: Provider | Path
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None

    def node(self) -> dict[str, Any]:
        """The option of Hydra's group ``preset``, for the package ``_global_``."""
        network = {**self.config.get("network", {}), **({"weights": str(self.weights)} if self.weights else {})}
        content = without_interpolation({**self.config, "network": network, "preset": dataclasses.asdict(self.card)})
        return {"defaults": [{"override /task": self.task}, {"override /network": self.network},
                             {"override /recipe": PLATFORM}],
                **content, "flow": "specialized"}

    @property
    def free(self) -> tuple[str, ...]:
        return tuple(self.card.tunable)

    @property
    def owner(self) -> str:
        return f"The preset {self.name} of {self.provider}"

    @property
    def choice(self) -> str:
        """The override that chooses it."""
        return f"preset={quoted(str(choice_of(self.card)))}"

    @property
    def checksum(self) -> str:
        """Of the file's content, wherever it is. Empty keys of the card are left out, so that a later version may add
        keys."""
        card = {key: value for key, value in dataclasses.asdict(self.card).items() if value and key != "file"}
        return digest([self.task, self.network, card, self.config])


Damaged = list[tuple[Provider, UserError]]
"""Plugins with what is wrong with their presets."""


def load_presets(plugins: Plugins, damaged: Damaged | None = None) -> dict[str, Preset]:
    """All plugins' presets by name, sorted by task and name. Raises UserError for an invalid file, or adds that to
    ``damaged``."""
    found: list[Preset] = []
    wrong: Damaged = []
    for path, provider in preset_files(plugins, wrong).values():
        try:
            found.append(_read(path, provider))
        except UserError as error:
            wrong.append((provider, error))
    if damaged is not None:
        damaged += wrong
    elif wrong:
        raise wrong[0][1]
    return {preset.name: preset for preset in sorted(found, key=lambda preset: (preset.task, preset.name))}


def preset_files(plugins: Plugins, damaged: Damaged | None = None) -> dict[str, tuple[Traversable, Provider]]:
    """The file and the plugin of each preset, by name. A folder that is not there, and a name that an earlier plugin
    has, are left out and added to ``damaged``."""
    found: dict[str, tuple[Traversable, Provider]] = {}
    wrong = [] if damaged is None else damaged
    for folder, provider in plugins.preset_folders:
        try:
            paths = [*_yaml_files(files(folder.package))]
        except (ImportError, OSError, TypeError, ValueError) as error:
            wrong.append((provider, UserError(f"The presets {folder.package!r} of {provider} cannot be found: {error}",
                                              hint="report it to the plugin's author")))
            continue
        for path in paths:
            name = path.name.removesuffix(SUFFIX)
            if other := found.get(name):
                wrong.append((provider, UserError(f"The preset {name!r} is in {other[1]} and in {provider}",
                                                  hint="uninstall one of them")))
            else:
                found[name] = path, provider
    return found


def is_file(choice: str) -> bool:
    """Whether ``preset=choice`` names a file instead of a plugin's preset."""
    return choice.endswith(SUFFIX)


def find_preset(choice: str, plugins: Plugins) -> Preset:
    """The preset that ``preset=choice`` names. Raises UserError if it does not exist or is invalid."""
    if is_file(choice):
        path = resolved_path(choice)
        if not os.path.isfile(path):
            raise UserError(f"preset={choice}: there is no file {path}",
                            hint="`sightsmith list presets` shows the presets of all plugins")
        return _read(path, path)
    damaged: Damaged = []
    found = preset_files(plugins, damaged)
    for _, error in damaged:
        if f"The preset {choice!r} is in " in error.message:  # either could be meant
            raise error
    if choice in found:
        return _read(*found[choice])
    if (file := own_file(choice)) is not None:
        return _read(file, file)
    own = [path.stem for path in OWN.glob(f"*{SUFFIX}")]
    raise UserError(f"No installed plugin provides the preset {choice!r}.{near(choice, {*found, *own})}",
                    hint=f"`sightsmith list presets` shows all {len(found)}; to use your own file, type "
                         "preset=FOLDER/NAME.yaml")


def with_preset_files(overrides: Iterable[str], plugins: Plugins) -> list[str]:
    """``overrides`` with the path of ``presets/NAME.yaml`` for ``preset=NAME``, if no plugin provides that preset and
    there is such a file."""
    spelled = []
    for text in overrides:
        key, _, name = text.partition("=")
        name = unquoted(name)
        file = own_file(name) if key == "preset" else None
        spelled.append(text if file is None or name in preset_files(plugins) else f"preset={quoted(file)}")
    return spelled


def own_file(name: str) -> Path | None:
    """The file of a preset of your own that is called ``name``, an absolute path."""
    file = OWN / f"{name}{SUFFIX}"
    return file.absolute() if re.fullmatch(r"[\w-]+", name) and file.is_file() else None


def choice_of(card: PresetConfig) -> str | None:
    """The value of ``preset=`` that chooses the preset of ``card``; None without one."""
    return card.file or card.name


def preset_checksum(card: PresetConfig, plugins: Plugins) -> str | None:
    """Of the current file of ``card``'s preset; None without one. Raises UserError if it no longer exists."""
    choice = choice_of(card)
    return None if choice is None else find_preset(choice, plugins).checksum


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            yield from _yaml_files(path)
        elif path.name.endswith(SUFFIX):
            yield path


def _read(path: Traversable, provider: Provider | Path) -> Preset:
    try:
        text = read_text(path) if isinstance(path, Path) else path.read_text(encoding="utf-8")
        content = parse_yaml(text)
        _validate(content)
        name = path.name.removesuffix(SUFFIX)
        card = PresetConfig(name, **{key: content[key] for key in CARD.keys() & content.keys()})
        card.classes = [str(label) for label in card.classes]  # also those that look like numbers
        if isinstance(provider, Path):
            card.file = str(provider)
        weights = _beside(path, card) if card.weights else None
        return Preset(name, content["task"], content["network"], card, provider, content.get("config") or {}, weights)
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"The preset {path.name} of {provider} cannot be read: {error}",
                        hint="correct it if it is yours, or report it to its author") from error


def _validate(content: Any) -> None:
    """Raises ValueError unless ``content`` is that of a preset's file."""
    validate_fields(content, {})
    if unknown := content.keys() - CARD.keys() - {"task", "network", "config"}:
        raise ValueError(f"it has unknown keys: {', '.join(sorted(map(str, unknown)))}")
    validate_fields(content, {**{key: kind for key, kind in CARD.items() if key in content}, **NEEDED})
    for key, names in content.items():
        kinds = (str, int) if key == "classes" else str
        if isinstance(names, list) and not all(isinstance(name, kinds) and name is not True and name is not False
                                               for name in names):
            raise ValueError(f"{key} has a value that is not text: quote it")
    config = content.get("config") or {}
    if foreign := config.keys() - set(SETS):
        raise ValueError(f"config sets {', '.join(sorted(map(str, foreign)))}; it may set {', '.join(SETS)}")
    validate_fields(config, dict.fromkeys(config, dict))
    if "name" in config.get("task", {}):
        raise ValueError("config sets task.name; the task is the preset's key task")
    validate_no_interpolation(content)


def _beside(path: Traversable, card: PresetConfig) -> Path:
    """The weights file next to the preset ``path``. Raises ValueError for a file elsewhere."""
    if not isinstance(path, Path):
        raise ValueError("its weights cannot be read from an archive")
    if Path(card.weights).name != card.weights or not card.weights_sha256:
        raise ValueError("weights must name a file next to it, and weights_sha256 give its digest")
    return path.with_name(card.weights).absolute()


def data_rows(card: PresetConfig) -> list[tuple[str, str]]:
    """Label and text for each requirement on a preset's data."""
    classes = ", ".join(card.classes) or "any"
    return [("images", card.images), ("DICOM modality", ", ".join(card.dicom_modalities)),
            ("annotation", card.annotation), ("classes", classes)]
