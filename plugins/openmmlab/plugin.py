"""Tells ``sightsmith doctor`` what the OpenMMLab packages rest on."""

from __future__ import annotations

from sightsmith.plugin import Finding, hookimpl
from sightsmith.plugins.openmmlab.ops.extension import operators


@hookimpl
def sightsmith_diagnostics() -> list[Finding]:
    return [Finding("OpenMMLab", f"mmcv's operators: {operators()}")]
