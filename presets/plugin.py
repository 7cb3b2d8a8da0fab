"""Registers the presets of this folder."""

from __future__ import annotations

from sightsmith.core.hookspecs import hookimpl
from sightsmith.core.records import PresetFolder


@hookimpl
def sightsmith_presets() -> list[PresetFolder]:
    return [PresetFolder("sightsmith.presets")]
