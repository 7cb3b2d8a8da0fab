"""Registers the presets of this folder."""

from __future__ import annotations

from sightsmith.core.contracts.records import PresetFolder
from sightsmith.core.plugins.hookspecs import hookimpl


@hookimpl
def sightsmith_presets() -> list[PresetFolder]:
    return [PresetFolder("sightsmith.presets")]
