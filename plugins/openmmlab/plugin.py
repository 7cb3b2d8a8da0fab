"""Tells ``sightsmith doctor`` what the OpenMMLab packages rest on."""

from __future__ import annotations

from sightsmith.core.hookspecs import hookimpl
from sightsmith.core.records import Finding
from sightsmith.plugins.openmmlab.ops.extension import operators


@hookimpl
def sightsmith_diagnostics() -> list[Finding]:
    return [Finding("OpenMMLab", f"mmcv's operators: {operators()}")]
