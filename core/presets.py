"""Presets: complete, named choices whose locked parts no override changes.

A preset is a YAML file of a package that a plugin names by ``sightsmith_presets``. Its keys are those of
:class:`Preset`; what it sets of the configuration stands under ``config``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from sightsmith.core.errors import Problem, UserError, near
from sightsmith.core.plugins import Provider, load_plugins
from sightsmith.core.schema import Config, PresetConfig, walk

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from sightsmith.core.check import CheckedDataset

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, five times as fast, where PyYAML was built with it."""

FREE = ("name", "description", "output_dir", "logger", "limits", "hyper", "tuner", "trainer", "dataset.root",
        "dataset.format", "dataset.validation_percentage", "dataset.group_by", "dataset.min_images_per_class",
        "dataset.limit")
"""Keys, and groups of them, that no preset locks: the data, the hyper-parameters, and how the run is carried out."""


class LockedError(UserError):
    """A run asks for something else than what its preset locks."""


@dataclass(frozen=True)
class Preset:
    """What a preset's file says. ``card`` is for people; ``config`` are its values, by nested keys."""

    name: str
    task: str
    network: str
    card: PresetConfig
    provider: Provider
    config: Mapping[str, Any] = field(default_factory=dict)

    def node(self) -> dict[str, Any]:
        """The option of Hydra's group ``preset``, for the package ``_global_``."""
        return {"defaults": [{"override /task": self.task}, {"override /network": self.network}],
                **self.config, "flow": "specialized", "preset": dataclasses.asdict(self.card)}

    def locks(self, key: str) -> bool:
        """Whether the preset alone says what the configuration's ``key`` is."""
        return not any(key == free or key.startswith(f"{free}.") for free in (*FREE, *self.card.tunable))


@lru_cache(maxsize=1)
def load_presets() -> dict[str, Preset]:
    """By name, the presets of all plugins, sorted by task and name. Raises UserError for a file that is none."""
    found: dict[str, Preset] = {}
    for folder, provider in load_plugins().preset_folders:
        for path in _yaml_files(files(folder.package)):
            preset = _read(path, provider)
            if preset.name in found:
                raise UserError(f"The preset {preset.name!r} is in {found[preset.name].provider} and in {provider}",
                                hint="uninstall one of them")
            found[preset.name] = preset
    return dict(sorted(found.items(), key=lambda item: (item[1].task, item[0])))


def find_preset(name: str) -> Preset:
    """Raises UserError where no plugin has the preset ``name``."""
    presets = load_presets()
    if name not in presets:
        raise UserError(f"No installed plugin provides the preset {name!r}.{near(name, presets)}",
                        hint=f"`sightsmith list presets` shows all {len(presets)}; one of your own is used once a "
                             "plugin provides it")
    return presets[name]


def _yaml_files(folder: Traversable) -> Iterator[Traversable]:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            yield from _yaml_files(path)
        elif path.name.endswith(".yaml"):
            yield path


def _read(path: Traversable, provider: Provider) -> Preset:
    keys = {entry.name for entry in dataclasses.fields(PresetConfig)} - {"name"}
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
        if not isinstance(content, dict):
            raise ValueError("it is not a table of keys")
        if unknown := content.keys() - keys - {"task", "network", "config"}:
            raise ValueError(f"it has unknown keys: {', '.join(sorted(unknown))}")
        if missing := [key for key in ("task", "network", "title", "annotation") if key not in content]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        name = path.name.removesuffix(".yaml")
        card = PresetConfig(name, **{key: content[key] for key in keys & content.keys()})
        return Preset(name, content["task"], content["network"], card, provider, content.get("config") or {})
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(f"The preset {path.name} of {provider} cannot be read: {error}",
                        hint="report it to its author") from error


def data_rows(card: PresetConfig) -> list[tuple[str, str]]:
    """Label and text of what a preset's data must be."""
    classes = ", ".join(card.classes) or "any"
    return [("images", card.images), ("DICOM modality", ", ".join(card.dicom_modalities)),
            ("annotation", card.annotation), ("classes", classes)]


def refuse_unlike(dataset: CheckedDataset, card: PresetConfig) -> None:
    """Raises UserError where ``dataset`` is not what the preset wants: annotation, classes, modality."""
    index = dataset.index
    problems = []
    if index.annotation == "labels":
        found = "multi-label" if index.multi_label else "single-label"
        if found != card.annotation:
            problems.append(Problem(f"the data is {found}, not {card.annotation}"))
    missing = [name for name in card.classes if name not in index.classes]
    surplus = [name for name in index.classes if card.classes and name not in card.classes]
    if missing:
        problems.append(Problem(f"it lacks the classes {', '.join(missing)}"))
    if surplus:
        problems.append(Problem(f"it has classes that the preset does not know: {', '.join(surplus)}"))
    others = sorted({info.modality for info in dataset.infos.values() if info.modality} - set(card.dicom_modalities))
    if card.dicom_modalities and others:
        problems.append(Problem(f"it has DICOM images of the modality {', '.join(others)}"))
    if problems:
        wanted = "\n".join(f"  {label:15} {text}" for label, text in data_rows(card) if text)
        raise UserError(f"{index.root} is not what the preset {card.name} takes:", problems=problems,
                        hint=f"It wants:\n{wanted}")


def refuse_changes(config: Config, reference: Config, preset: Preset) -> None:
    """Raises UserError naming every locked key in which ``config`` differs from ``reference``, the preset alone."""
    locked = {key: value for key, _, value in walk(reference) if preset.locks(key)}
    problems = [Problem(f"{key} is locked to {_shown(locked[key])}, and this run asks for {_shown(value)}")
                for key, _, value in walk(config) if key in locked and value != locked[key]]
    if problems:
        tunable = ", ".join((*preset.card.tunable, "hyper.*", "trainer.*"))
        raise LockedError(f"The preset {preset.name} of {preset.provider} locks what this run changes:",
                          problems=problems,
                          hint=f"leave them as they are; free are {tunable} and the data's keys.\n"
                               f"To choose all yourself: flow=general task={preset.task}, without the preset")


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", [], {}) else str(value)
