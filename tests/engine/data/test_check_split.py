"""What the check says of a split that makes a score uncertain, or too good."""

from __future__ import annotations

import numpy as np
import pytest
from broken_datasets import picture
from command_line import within
from PIL import Image

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check


def photo(path, seed, brightness=0):
    """A picture with structure, which a perceptual hash tells from another."""
    small = np.random.default_rng(seed).integers(40, 200, (8, 8, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC), np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(np.clip(large + brightness, 0, 255))).save(path)


def said(root, *overrides):
    plugins = load_plugins()
    dataset = check(compose(["task=classification", f"dataset.root={root}", *overrides], plugins), plugins,
                    lambda line: None)
    return "\n".join(map(str, dataset.problems))


@pytest.mark.parametrize(("images", "told"), [
    (6, "score on it is uncertain\n      cross-validation, dataset.folds, measures on all images in turn"),
    (20, "validation has fewer than 5 images of 2 classes: cat (4), dog (4)"), (25, None),
])
def test_a_small_validation_part_is_told(images, told, tmp_path):
    for place, name in enumerate(("cat", "dog", "owl")):
        for number in range(images if name != "owl" else 0 if images == 6 else 30):
            picture(tmp_path / name / f"{number}.png", 100 * place + number)
    text = said(tmp_path, "dataset.min_images_per_class=1")
    assert told in text if told else "uncertain" not in text


def test_training_tells_of_near_duplicates_across_the_split(tmp_path):
    for split in ("train", "val"):
        for place, name in enumerate(("cat", "dog")):
            for number in range(4):
                photo(tmp_path / split / name / f"{number}.png", 10 * place + number + 100 * (split == "val"))
    photo(tmp_path / "val" / "dog" / "copy.png", 10, brightness=4)  # of train/dog/0.png
    code, output, _ = within("train", "task=classification", f"dataset.root={tmp_path}", "network=resnet18",
                             "network.weights=none", "image.size=32", "trainer.dry_run=true",
                             f"output_dir={tmp_path / 'runs'}")
    assert code == 0
    text = " ".join(output.split())
    assert "1 pair of near-duplicates is divided between training and validation" in text
    assert "train/dog/0.png and val/dog/copy.png" in text
