"""A finished run on images too large to be decoded whole: the same as on usual ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from command_line import within
from large_images import everything_is_large
from PIL import Image

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data import images, thumbnails
from sightsmith.engine.data.tiling import tile_dataset, tiled
from sightsmith.engine.pipeline.load_dataset import check


@pytest.fixture(autouse=True)
def no_memory_of_files():
    """Files that were checked as usual ones are checked again."""
    yield
    images._probe_once.cache_clear()


def checked(result):
    images._probe_once.cache_clear()
    return check(result.task.config, load_plugins(), print)


@pytest.mark.parametrize("run", ["map_tiles", pytest.param("box_tiles", marks=pytest.mark.slow)])
def test_tiles_are_those_of_usual_images(request, monkeypatch, run):
    result = request.getfixturevalue(run)
    whole, task = checked(result), result.task
    tiles = tiled(whole.validation[:2], whole.infos, 40, 0)
    usual, large = (task.dataset(tiles, training=False) for _ in range(2))
    wanted = [usual[place] for place in range(len(tiles))]
    everything_is_large(monkeypatch)
    for place, item in enumerate(wanted):
        found = large[place]
        assert np.array_equal(found["inputs"], item["inputs"])
        truth, same = found["data_samples"].truth, item["data_samples"].truth
        assert np.array_equal(truth["boxes"], same["boxes"]) if isinstance(truth, dict) else np.array_equal(truth, same)


@pytest.mark.parametrize("run", ["map_tiles", pytest.param("box_tiles", marks=pytest.mark.slow)])
def test_predictions_are_those_of_usual_images(request, monkeypatch, run):
    result = request.getfixturevalue(run)
    paths = [sample.path for sample in checked(result).validation[:2]]
    usual = list(result.predict(paths))
    everything_is_large(monkeypatch)
    images._probe_once.cache_clear()
    for found, wanted in zip(result.predict(paths), usual, strict=True):
        assert [(item.label, item.box) for item in found.objects] == [(item.label, item.box) for item in wanted.objects]
        assert (found.semantic_mask is None) == (wanted.semantic_mask is None)
        assert found.semantic_mask is None or np.array_equal(found.semantic_mask, wanted.semantic_mask)


@pytest.mark.parametrize("run", ["map_tiles", pytest.param("box_tiles", marks=pytest.mark.slow)])
def test_the_command_shows_them_at_reduced_size(request, monkeypatch, tmp_path, run):
    result = request.getfixturevalue(run)
    sample = checked(result).validation[0]
    shutil.copy(sample.path, tmp_path / "a.png")
    everything_is_large(monkeypatch)
    monkeypatch.setattr(thumbnails, "SHOWN_SIDE", 20)
    code, *said = within("predict", f"run={result.run_dir}", f"input={tmp_path / 'a.png'}",
                         f"output_dir={tmp_path / 'out'}",
                         "min_score=0")
    assert code == 0, said
    [folder] = (tmp_path / "out").iterdir()
    [image] = json.loads((folder / "predictions.json").read_text())["images"]
    with Image.open(sample.path) as whole, Image.open(folder / image["picture"]) as shown:
        assert (image["width"], image["height"]) == whole.size
        assert shown.width == -(-whole.width // 4) or shown.width == -(-whole.width // 2)
    if "semantic_mask" in image:
        with Image.open(folder / image["semantic_mask"]) as written:
            assert written.size == (image["width"], image["height"])


def test_what_predicts_pixels_asks_for_tiles(map_tiles, monkeypatch):
    dataset = checked(map_tiles)
    everything_is_large(monkeypatch)
    with pytest.raises(UserError, match="too large without dataset.tile") as refused:
        tile_dataset(dataset, None, map_tiles.task)
    assert len(refused.value.problems) == len(dataset.infos) and "dataset.tile=1024" in refused.value.hint
    task = map_tiles.task
    config = replace(task.config, dataset=replace(task.config.dataset, tile=None))
    monkeypatch.setattr(task, "config", config)
    with pytest.raises(UserError) as refused:
        list(map_tiles.predict([dataset.validation[0].path]))
    assert "train with dataset.tile for such images" in str(refused.value.problems[0])


def test_labels_need_no_tiles(digits, monkeypatch):
    paths = [sample.path for sample in checked(digits).validation[:3]]
    usual = list(digits.predict(paths))
    everything_is_large(monkeypatch)
    images._probe_once.cache_clear()
    assert [item.scores for item in digits.predict(paths)] == [pytest.approx(item.scores) for item in usual]
