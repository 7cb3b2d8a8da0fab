"""A configuration of one's own: written with reasons, never over a file, and trained like the command it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from command_line import refused, within
from PIL import Image

from sightsmith.core.contracts.keys import walk
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline import start
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.prepare import choose
from sightsmith.engine.pipeline.recipe import fixed_keys


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog\n# x: y"):
        for number in range(10):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng(number + 100 * len(name)).integers(0, 255, (40, 56, 3), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path


@pytest.fixture
def planned(monkeypatch, plugins):
    """``planned(*arguments)``: every value of the run of ``sightsmith train ARGUMENTS``, with what is chosen for it."""
    def get(*arguments):
        found = []

        def begun(config, overrides, plugins, folder):
            assert compose(overrides, plugins) == config  # so it can be resumed and repeated without the file
            dataset = check(config, plugins, print)
            chosen = choose(config, dataset, fixed_keys(config, overrides, plugins), plugins)
            found.append({key: value for key, _, value in walk(chosen.applied(config))})

        with monkeypatch.context() as patch:
            patch.setattr(start, "start", begun)
            code, _, errors = within("train", *arguments)
        assert code == 0, errors
        return found[0]
    return get


@pytest.mark.parametrize("typed", [
    [], ["hyper.optimizer=sgd", "image.size=64", "logger=[]", "name=my run, ${x}",
         "augment.extra.blur.probability=0.5"],
    ["network=resnet18", "network.weights=none", "recipe=platform"],
])
def test_it_trains_like_the_command(planned, typed):
    code, output, errors = within("init", "dataset=photos", *typed)
    assert code == 0, errors
    assert "Task: classification, because" in output and "Next: sightsmith train --config-name photos" in output
    assert planned("--config-name", "photos") == planned("dataset=photos", *typed)
    assert planned("--config-name", "photos", "hyper.epochs=3")["hyper.epochs"] == 3


def test_it_has_the_recommendation_with_reasons(planned, photos):
    assert within("init", "dataset=photos", "tuner=auto", "file=confs/mine.yaml")[0] == 0
    text = (photos / "confs" / "mine.yaml").read_text()
    assert "  - override task: classification  # the data set has labels" in text
    assert "# stop 3 of 5 from faster to more accurate" in text and max(map(len, text.splitlines())) <= 120
    assert yaml.safe_load(text)["dataset"] == {"root": "photos"}
    found = planned("--config-name", "confs/mine")
    assert found == planned("--config-dir", "confs", "--config-name", "mine")
    assert found["network.name"] == "efficientnet_b3"


def test_a_preset_and_what_it_leaves_free(photos, plugins):
    for folder, name in (("cat", "PTX"), ("dog\n# x: y", "normal")):
        (photos / "photos" / folder).rename(photos / "photos" / name)
    assert within("init", "preset=pneumothorax", "dataset=photos", "hyper.epochs=7")[0] == 0
    content = yaml.safe_load((photos / "photos.yaml").read_text())
    assert {"override preset": "pneumothorax"} in content["defaults"]
    assert content["hyper"] == {"epochs": 7} and "network" not in content


def test_what_is_refused(photos):
    (photos / "photos.yaml").write_text("mine")
    assert "photos.yaml already exists and is not overwritten" in refused("init", "dataset=photos")
    assert (photos / "photos.yaml").read_text() == "mine"
    assert "there is no such folder" in refused("init", "dataset=nowhere")
    assert "there is no file phtos.yaml. Did you mean 'photos'?" in refused("train", "--config-name=phtos")
    (photos / "wrong.yaml").write_text("defaults: [config, _self_, override task: detection]\nhyper: {epoch: 3}\n")
    said = refused("train", "--config-name", "wrong")
    assert "Key 'epoch' not in 'HyperConfig'" in said and "no task" not in said
