"""The conformance suite on this package's plugin."""

from __future__ import annotations

from sightsmith.testing import PluginConformance


class TestPlugin(PluginConformance):
    distribution = "sightsmith-timm"
