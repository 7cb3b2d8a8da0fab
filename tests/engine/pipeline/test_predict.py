"""What a finished run's model says of images without annotation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.masks import decode
from sightsmith.engine.data.tiling import tiled
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.plugins.detection.metrics import merged


def validated(result, samples):
    """What validation made of ``samples``."""
    task = result.task
    data = task.dataset(samples, training=False)
    with torch.no_grad():
        return task.evaluation_step(result.model, task.collate([data[place] for place in range(len(data))]))


def checked(result):
    return check(result.task.config, load_plugins(), print)


def test_labels_have_the_probabilities_of_validation(digits):
    result = digits
    samples = checked(result).validation
    logits = np.stack([outcome["logits"] for outcome in validated(result, samples)])
    said = list(result.predict(sample.path for sample in samples))
    assert [item.path for item in said] == [sample.path for sample in samples]
    for item, row in zip(said, logits, strict=True):
        expected = torch.from_numpy(row).double().softmax(0).tolist()
        assert [item.scores[name] for name in result.classes] == pytest.approx(expected, abs=1e-6)
        assert list(item.scores.values()) == sorted(item.scores.values(), reverse=True)
        assert (item.objects, item.semantic_mask) == ((), None)


def test_each_frame_of_a_file_and_every_file_that_cannot_be_read(digits, tmp_path):
    pages = [Image.fromarray(np.full((30, 20), shade, np.uint8)) for shade in (0, 120, 250)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    said = list(digits.predict([tmp_path / "pages.tif"]))
    assert [(item.frame, item.width, item.height) for item in said] == [(0, 20, 30), (1, 20, 30), (2, 20, 30)]
    assert len({tuple(sorted(item.scores.items())) for item in said}) == 3
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError) as refused:
        list(digits.predict([tmp_path / "text.png", tmp_path / "pages.tif", tmp_path / "gone.png"]))
    assert [str(problem).split(":")[0].rsplit("/", 1)[-1] for problem in refused.value.problems] == [
        "gone.png", "text.png"]


@pytest.mark.slow
@pytest.mark.parametrize("run", ["box_tiles", "mask_tiles"])
def test_objects_of_tiles_are_merged_as_in_validation(request, run):
    result = request.getfixturevalue(run)
    whole = checked(result)
    tiles = tiled(whole.validation, whole.infos, 40, result.task.tile_overlap(False))
    assert len(tiles) > len(whole.validation)
    expected = merged(validated(result, tiles))
    said = list(result.predict(sample.path for sample in whole.validation))
    for item, image in zip(said, expected, strict=True):
        # Objects of one score come in any order.
        numbers = [result.classes.index(found.label) for found in item.objects]
        rows = [np.column_stack((1000 * np.array(labels), np.reshape(boxes, (-1, 4)), 100 * np.array(scores)))
                for labels, boxes, scores in (
                    (numbers, [found.box for found in item.objects], [found.score for found in item.objects]),
                    (image["labels"], image["boxes"], image["scores"]))]
        assert rows[0].shape == rows[1].shape
        apart = np.abs(rows[0][:, None] - rows[1]).max(2)
        assert max(apart.min(0, initial=0).max(initial=0), apart.min(1, initial=0).max(initial=0)) < 1e-3
        for found in item.objects:
            assert (found.mask is not None) == result.task.with_masks
            assert found.mask is None or decode(found.mask, item.height, item.width).shape == (item.height, item.width)
    assert any(item.objects for item in said)


def test_the_map_of_tiles_has_the_mean_where_they_overlap(map_tiles):
    result = map_tiles
    whole, task = checked(result), result.task
    sample = whole.validation[0]
    tiles = tiled([sample], whole.infos, 40, 25)
    data = task.dataset(tiles, training=False)
    info = whole.infos[sample.name]
    summed = np.zeros((len(result.classes) + 1, info.height, info.width))
    times = np.zeros((info.height, info.width))
    with torch.no_grad():
        for place, tile in enumerate(tiles):
            part, = task.predict(result.model, task.collate([data[place]]))
            left, top, width, height = tile.tile
            assert part["logits"].shape[1:] == (height, width)
            summed[:, top:top + height, left:left + width] += part["logits"]
            times[top:top + height, left:left + width] += 1
    assert times.max() > 1 and times.min() == 1
    said, = result.predict([sample.path])
    assert said.semantic_mask.dtype == np.uint8
    assert (said.semantic_mask == (summed / times).argmax(0)).mean() > 0.999
