"""Presets: complete, named choices whose locked parts no override changes.

A preset is a YAML file of a package that a plugin names by ``sightsmith_presets``, or a file of one's own. Its keys
are those of :class:`Preset`; what it sets of the configuration stands under ``config``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sightsmith.core.contracts.records import Provider
from sightsmith.core.contracts.schema import PresetConfig
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.digest import digest
from sightsmith.core.util.errors import UserError, near

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


SUFFIX = ".yaml"

SETS = ("task", "image", "network", "dataset", "augment", "hyper", "limits")
"""The parts of the configuration that a preset may set, of ``task`` the task's own keys; Hydra's own would let its file
start programs."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, five times as fast, where PyYAML was built with it."""


@dataclass(frozen=True)
class Preset:
    """What a preset's file says. ``card`` is for people; ``config`` are its values, by nested keys.

    ``provider`` is the plugin that has it, or, of a preset that none has, its file; ``weights`` the file that the card
    names.
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
        return {"defaults": [{"override /task": self.task}, {"override /network": self.network}],
                **self.config, "network": network, "flow": "specialized", "preset": dataclasses.asdict(self.card)}

    @property
    def free(self) -> tuple[str, ...]:
        return tuple(self.card.tunable)

    @property
    def owner(self) -> str:
        return f"The preset {self.name} of {self.provider}"

    @property
    def choice(self) -> str:
        """The override that chooses it."""
        return f"preset='{choice_of(self.card)}'"

    @property
    def checksum(self) -> str:
        """Of what the file says, wherever it stands. Keys of the card that say nothing are left out: a later version
        may know more."""
        card = {key: value for key, value in dataclasses.asdict(self.card).items() if value and key != "file"}
        return digest([self.task, self.network, card, self.config])


def load_presets(plugins: Plugins) -> dict[str, Preset]:
    """By name, the presets of all plugins, sorted by task and name. Raises UserError for a file that is none."""
    found: dict[str, Preset] = {}
    for preset in starmap(_read, _preset_files(plugins)):
        if other := found.get(preset.name):
            raise UserError(f"The preset {preset.name!r} is in {other.provider} and in {preset.provider}",
                            hint="uninstall one of them")
        found[preset.name] = preset
    return dict(sorted(found.items(), key=lambda item: (item[1].task, item[0])))


def is_file(choice: str) -> bool:
    """Whether ``preset=choice`` names a file, not the preset of a plugin."""
    return choice.endswith(SUFFIX)


def find_preset(choice: str, plugins: Plugins) -> Preset:
    """The preset that ``preset=choice`` names. Raises UserError where no plugin has it, or its file is none."""
    if is_file(choice):
        path = Path(choice).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"preset={choice}: there is no file {path}",
                            hint="`sightsmith list presets` shows those that plugins provide")
        return _read(path, path)
    for entry, provider in _preset_files(plugins):
        if entry.name == choice + SUFFIX:
            return _read(entry, provider)
    names = [path.name.removesuffix(SUFFIX) for path, _ in _preset_files(plugins)]
    raise UserError(f"No installed plugin provides the preset {choice!r}.{near(choice, names)}",
                    hint=f"`sightsmith list presets` shows all {len(names)}; one of your own is named by its file: "
                         "preset=FOLDER/NAME.yaml")


def choice_of(card: PresetConfig) -> str | None:
    """What chooses the preset of ``card`` when it is typed after ``preset=``; None where there is none."""
    return card.file or card.name


def preset_checksum(card: PresetConfig, plugins: Plugins) -> str | None:
    """Of what the file of the preset of ``card`` says now; None without one. Raises UserError where it is gone."""
    choice = choice_of(card)
    return None if choice is None else find_preset(choice, plugins).checksum


def _preset_files(plugins: Plugins) -> Iterator[tuple[Traversable, Provider]]:
    for folder, provider in plugins.preset_folders:
        yield from ((path, provider) for path in _yaml_files(files(folder.package)))


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            yield from _yaml_files(path)
        elif path.name.endswith(SUFFIX):
            yield path


def _read(path: Traversable, provider: Provider | Path) -> Preset:
    keys = {entry.name for entry in dataclasses.fields(PresetConfig)} - {"name", "file"}
    try:
        text = path.read_text(encoding="utf-8")
        if "${" in text:  # OmegaConf would look it up, in the environment too
            raise ValueError("it holds an interpolation ${...}")
        content = yaml.load(text, Loader=LOADER)
        if not isinstance(content, dict):
            raise ValueError("it is not a table of keys")
        if unknown := content.keys() - keys - {"task", "network", "config"}:
            raise ValueError(f"it has unknown keys: {', '.join(sorted(unknown))}")
        if missing := [key for key in ("task", "network", "title", "annotation") if key not in content]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        config = content.get("config") or {}
        if foreign := config.keys() - set(SETS):
            raise ValueError(f"config sets {', '.join(sorted(foreign))}; it may set {', '.join(SETS)}")
        if "name" in config.get("task", {}):
            raise ValueError("config sets task.name; the task is the preset's key task")
        name = path.name.removesuffix(SUFFIX)
        card = PresetConfig(name, **{key: content[key] for key in keys & content.keys()})
        card.classes = [str(label) for label in card.classes]  # also those that read like numbers
        if isinstance(provider, Path):
            card.file = str(provider)
        weights = _beside(path, card) if card.weights else None
        return Preset(name, content["task"], content["network"], card, provider, config, weights)
    except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"The preset {path.name} of {provider} cannot be read: {error}",
                        hint="report it to its author") from error


def _beside(path: Traversable, card: PresetConfig) -> Path:
    """The file of weights that the preset in ``path`` brings. Raises ValueError for one that stands elsewhere."""
    if not isinstance(path, Path):
        raise ValueError("its weights are in an archive, and cannot be read there")
    if Path(card.weights).name != card.weights or not card.weights_sha256:
        raise ValueError("weights must be the name of a file beside it, with its digest as weights_sha256")
    return path.with_name(card.weights).absolute()


def data_rows(card: PresetConfig) -> list[tuple[str, str]]:
    """Label and text of what a preset's data must be."""
    classes = ", ".join(card.classes) or "any"
    return [("images", card.images), ("DICOM modality", ", ".join(card.dicom_modalities)),
            ("annotation", card.annotation), ("classes", classes)]
