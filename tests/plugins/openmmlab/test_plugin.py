"""``sightsmith doctor`` says what stands behind mmcv.ops."""

from __future__ import annotations

import sys
import types

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.plugins.commands.diagnosis import findings
from sightsmith.plugins.openmmlab.ops.extension import EXTENSION


def test_doctor_names_the_operators(monkeypatch):
    def said():
        [finding] = [item for item in findings(load_plugins()) if item.topic == "OpenMMLab"]
        assert finding.ok
        return finding.text

    assert said() == "mmcv's operators: torchvision and torch"
    monkeypatch.setitem(sys.modules, EXTENSION, types.ModuleType(EXTENSION))
    assert said() == "mmcv's operators: compiled"
