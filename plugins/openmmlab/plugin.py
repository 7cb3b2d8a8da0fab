"""Adds the OpenMMLab packages to ``sightsmith doctor``."""

from __future__ import annotations

from sightsmith.plugin import Finding, hookimpl
from sightsmith.plugins.openmmlab.ops.extension import operators


@hookimpl
def sightsmith_diagnostics() -> list[Finding]:
    return [Finding("OpenMMLab", f"mmcv's operators: {operators()}")]
