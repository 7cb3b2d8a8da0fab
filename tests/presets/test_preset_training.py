"""Every preset trains on data that is what its card asks for.

Inputs are at most :data:`LARGEST` pixels wide here, so that this takes minutes where no GPU is; all else is the
preset's. ``SIGHTSMITH_TEST_SIDE=4096`` in the environment trains each at its own size.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from preset_datasets import PUBLISHED, fitting, published_weights

import sightsmith
from sightsmith import presets
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.presets import SUFFIX, find_preset, load_presets
from sightsmith.engine.runs import published
from sightsmith.engine.runs.run_dir import FINISHED
from sightsmith.engine.runs.weights import file_digest
from sightsmith.engine.training import benchmark as trial

LARGEST = int(os.environ.get("SIGHTSMITH_TEST_SIDE", "128"))
FAST = ["hyper.epochs=1", "dataset.folds=none", "trainer.precision=fp32", "trainer.memory_format=contiguous",
        "logger=[]"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
def bounded(monkeypatch, preset_folder):
    """The preset of a name, installed with an input that is not larger than :data:`LARGEST`."""
    def install(name):
        [file] = Path(presets.__path__[0]).rglob(f"{name}{SUFFIX}")
        content = yaml.safe_load(file.read_text())
        image = content["config"]["image"]
        image["size"] = min(image["size"], LARGEST)
        (preset_folder / file.name).write_text(yaml.safe_dump(content))
        return find_preset(name, load_plugins())

    monkeypatch.setattr(trial, "MODE_SECONDS", 0)  # one step of the trial is enough
    return install


@pytest.mark.slow
@pytest.mark.parametrize("name", load_presets(load_plugins()))
def test_two_steps_on_data_as_the_card_asks(tmp_path, monkeypatch, hub, bounded, name):
    preset = bounded(name)
    monkeypatch.setenv("TORCH_HOME", str(hub))
    weights = None
    if preset.config.get("network", {}).get("weights") != "none":
        weights = published_weights(preset.network, hub / "hub" / "checkpoints")
        monkeypatch.setattr(published, "digest_start", lambda name: "")  # the values in the file are random
    classes = preset.card.classes
    # Two thirds of the images train, in two updates.
    batch = {"single-label": len(classes), "multi-label": 2}.get(preset.card.annotation, 1)
    result = sightsmith.train([f"preset={name}", *fitting(preset, tmp_path / "set"), *FAST,
                               f"hyper.batch_size={batch}", f"output_dir={tmp_path / 'runs'}"])

    plan, status, lock = (json.loads((result.run_dir / file).read_text())
                          for file in ("plan.json", "status.json", "lock.json"))
    assert status["status"] == FINISHED
    assert plan["steps_per_epoch"] * plan["epochs"] == 2
    assert sorted(result.classes) == sorted(classes)
    assert (plan["task"], plan["network"], plan["input_size"]) == (
        preset.task, preset.network, preset.config["image"]["size"])
    assert lock["weights"] == (file_digest(weights) if weights else None)
    assert result.metrics["loss"] is not None


def test_there_are_weights_for_each_preset_that_starts_from_published_ones(plugins):
    started = {preset.network for preset in load_presets(plugins).values()
               if preset.config.get("network", {}).get("weights") != "none"}
    assert started == PUBLISHED.keys()
