"""A base run's card: what it gives, read anew each time."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose


def test_a_base_run_that_changes_is_composed_anew(tmp_path, plugins):
    card = tmp_path / "model" / "model.json"
    card.parent.mkdir()
    for size in (64, 96):  # the locks go by what the card says now
        config = compose(["task=classification", "dataset.root=x", f"image.size={size}"], plugins)
        card.write_text(json.dumps({
            "format": 1, "task": "classification", "network": config.network.name, "classes": ["a", "b"],
            "multi_label": False, "metrics": {}, "config": asdict(config)}))
        assert compose([f"base_run={tmp_path}", "dataset.root=x"], plugins).image.size == size
        with pytest.raises(UserError, match=f"image.size is locked to {size}"):
            compose([f"base_run={tmp_path}", "dataset.root=x", "image.size=32"], plugins)
