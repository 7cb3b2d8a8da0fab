"""A stranger's image format: found by content or name, checked, and read again wherever a sample goes."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from fake_plugins import with_plugin
from PIL import Image

from sightsmith.core.contracts.image import Frame, ImageError
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.util.errors import PluginError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.images import probe, read_image
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.plugins.classification.data import ClassificationDataset

SIDE = 16


class Halves:
    """``HALF``, and a byte for all pixels of each frame."""

    modality, groups = None, ()
    size = (SIDE, SIDE)

    def __init__(self, path):
        self._greys = path.read_bytes()[4:]
        self.frames = len(self._greys)

    def frame(self, index, careful=False):
        values = np.full((SIDE, SIDE, 1), self._greys[index], np.uint8)
        values[: SIDE // 2] = 0
        return Frame(values, float(values.max()), 8, (0, 255))


@pytest.fixture
def plugins(monkeypatch):
    record = ImageReaderRecord(name="halves", title="Halves", description="d", magic=((0, b"HALF"),),
                               suffixes=(".half.bin",), builder="stranger:Halves", install="pip install stranger")
    return with_plugin(monkeypatch, "stranger", "sightsmith_image_readers", [record], Halves=Halves)


def readers(plugins):
    return list(plugins.image_readers.values())


def test_files_are_known_by_content_and_by_name(tmp_path, plugins, monkeypatch):
    (tmp_path / "a.any").write_bytes(b"HALF\x07\x09")
    info = probe(tmp_path / "a.any", readers(plugins))
    assert (info.frames, info.width, info.channels, info.maximum) == (2, SIDE, 1, 9)
    assert info.reader == plugins.image_readers["halves"].builder
    (tmp_path / "b.HALF.bin").write_bytes(b"half\x07")
    assert probe(tmp_path / "b.HALF.bin", readers(plugins)).reader == info.reader
    (tmp_path / "c.half.bin").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match="PNG is damaged"):
        probe(tmp_path / "c.half.bin", readers(plugins))
    (tmp_path / "d.bin").write_bytes(b"\0\1\2")
    with pytest.raises(ImageError, match="images are JPEG, .*, PNM, DICOM, HEIC, NIfTI, NRRD, MetaImage, NumPy and "
                                         "Halves$"):
        probe(tmp_path / "d.bin", readers(plugins))
    (tmp_path / "e.any").write_bytes(b"HALF\x07")
    (tmp_path / "stranger.py").write_text("import halving")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger")
    with pytest.raises(ImageError, match="reading Halves needs halving, which is not installed: pip install stranger"):
        probe(tmp_path / "e.any", readers(plugins))
    (tmp_path / "stranger.py").write_text("class Halvse: ...")
    with pytest.raises(PluginError, match=r"image reader 'halves': the builder stranger:Halves does not exist: .* Did "
                                          "you mean 'Halvse'"):
        probe(tmp_path / "e.any", readers(plugins))


def test_a_checked_sample_is_read_in_any_process(tmp_path, plugins):
    lines = []
    for number in range(12):
        (tmp_path / f"{number}.any").write_bytes(b"HALF" + bytes([100 + number, 200 + number]))
        Image.new("L", (SIDE, SIDE), number).save(tmp_path / f"{number}.png")
        lines += [f"{number}.any,bright", f"{number}.png,dark"]
    (tmp_path / "label.csv").write_text("\n".join(lines))
    config = compose(["task=classification", f"dataset.root={tmp_path}", "network=resnet18"], plugins)
    dataset = check(config, plugins, lambda line: None)
    dataset.raise_for_errors()
    samples = sorted((*dataset.train, *dataset.validation), key=lambda sample: sample.key)
    assert len(samples) == 36  # both frames of each
    kept = pickle.loads(pickle.dumps(samples))
    assert kept == samples
    frame = next(sample for sample in kept if sample.key == "3.any#1")
    assert read_image(frame)[..., 0].tolist() == [[0] * SIDE] * (SIDE // 2) + [[203] * SIDE] * (SIDE // 2)
    items = ClassificationDataset(kept, dataset.index.classes, config, SIDE, multi_label=False, training=False)
    image, _, _ = items[kept.index(frame)]
    assert image[0, -1, 0].item() == pytest.approx(203 / 255)


def test_a_reader_states_how_its_files_are_known():
    with pytest.raises(ValueError, match="must have magic bytes or suffixes"):
        ImageReaderRecord(name="x", title="X", description="d", builder="a:b")
