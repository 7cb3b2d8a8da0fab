"""Registers the presets of this folder."""

from __future__ import annotations

from sightsmith.plugin import PresetFolder, hookimpl


@hookimpl
def sightsmith_presets() -> list[PresetFolder]:
    return [PresetFolder("sightsmith.presets")]
