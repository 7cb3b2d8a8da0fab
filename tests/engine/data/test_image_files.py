"""Which files are images, the same for every dataset format, and what is said of those that cannot be read."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest
from broken_datasets import folders, picture
from dicom_files import dicom
from fake_plugins import with_plugin
from PIL import Image
from reading import READERS
from told import told

from sightsmith.core.contracts.image import Frame
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError, has_errors
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.image_files import is_image, is_image_file, using_readers
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.prediction_images import find_images


def checked(root, *overrides, plugins=None):
    plugins = plugins or load_plugins()
    return check(compose(["task=classification", f"dataset.root={root}", *overrides], plugins), plugins,
                 lambda line: None)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPE", "a.jfif", "a.Tiff", "a.webp", "a.AVIF", "a.gif", "a.jp2", "a.pgm",
                                  "a.HEIC", "a.dcm"])
def test_a_known_suffix_is_enough_in_any_case(tmp_path, name):
    assert is_image_file(tmp_path / name, READERS)  # there is not even such a file


def test_files_without_a_known_suffix_are_looked_into(tmp_path):
    source = dicom(tmp_path / "x.dcm", np.zeros((4, 4), np.uint16))
    for name in ("IM000001", "1.2.840.113619.2.55.7", "slice.IMA"):
        shutil.copy(source, tmp_path / name)
        assert is_image_file(tmp_path / name, READERS)
        assert not is_image_file(tmp_path / name, ())  # only a plugin knows DICOM
    photo = picture(tmp_path / "photo.png").read_bytes()
    for name, expected in (("photo", True), ("photo 2.10", True), ("photo.png.bak", False), ("photo.txt", False)):
        (tmp_path / name).write_bytes(photo)
        assert is_image_file(tmp_path / name, READERS) is expected, name
    for name, content in (("README", b"BMW is a maker of cars"), ("notes", b"P5 is a sensor"), ("empty", b""),
                          ("DICOMDIR", source.read_bytes())):
        (tmp_path / name).write_bytes(content)
        assert not is_image_file(tmp_path / name, READERS), name


def test_nothing_is_opened_that_may_not_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    assert not any(is_image_file(path, READERS) for path in tmp_path.iterdir())
    folders(tmp_path / "set")
    os.mkfifo(tmp_path / "set" / "cat" / "pipe.png")
    [problem] = [problem for problem in checked(tmp_path / "set").problems if problem.severity == "error"]
    assert problem.file == "cat/pipe.png" and "it is a pipe or a device" in problem.message


def test_readers_count_in_their_block_only(tmp_path):
    assert not is_image(tmp_path / "a.heic")
    with using_readers(READERS):
        assert is_image(tmp_path / "a.heic")
    assert not is_image(tmp_path / "a.heic")


class Greys:
    """``GREY`` and a byte for all pixels."""

    modality, groups = None, ()
    size, frames = (20, 20), 1

    def __init__(self, path):
        self._grey = path.read_bytes()[4]

    def frame(self, index, careful=False):
        values = np.full((20, 20, 1), self._grey, np.uint8)
        return Frame(values, float(values.max()), 8, (0, 255))


@pytest.mark.parametrize("layout", ["class_folders", "train_val_folders"])
def test_images_of_a_strangers_reader_are_found_in_folders(tmp_path, monkeypatch, layout):
    record = ImageReaderRecord(name="greys", title="Greys", description="d", magic=((0, b"GREY"),),
                               suffixes=(".grey.bin",), builder="stranger:Greys")
    plugins = with_plugin(monkeypatch, "stranger", "sightsmith_image_readers", [record], Greys=Greys)
    for number in range(16):
        part = ("train", "val")[number // 8] if layout == "train_val_folders" else ""
        path = tmp_path / part / "ab"[number % 2] / (f"{number}.GREY.bin" if number % 4 < 2 else f"{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GREY" + bytes([number]))
    dataset = checked(tmp_path, plugins=plugins)
    assert (dataset.index.format, len(dataset.index.samples)) == (layout, 16)
    [problem] = told(dataset)
    assert problem.message.startswith("16 images have a single colour: ")
    assert len(find_images(str(tmp_path), list(plugins.image_readers.values()), ImageConfig()).paths) == 16


def test_dicom_without_suffix_in_class_folders(tmp_path):
    random = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / ("ill", "well")[number % 2] / (f"IM{number:06}" if number < 6 else f"1.2.840.{number}")
        path.parent.mkdir(exist_ok=True)
        dicom(path, random.integers(0, 4096, (20, 20), np.uint16), Modality="CT")
    shutil.copy(tmp_path / "ill" / "IM000000", tmp_path / "DICOMDIR")
    dataset = checked(tmp_path)
    assert len(dataset.index.samples) == 12 and not told(dataset)
    assert "DICOMDIR" not in find_images(str(tmp_path), READERS, ImageConfig()).paths


HEIC = b"\0\0\0\x18ftypheic" + bytes(200)


def test_images_whose_reader_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    monkeypatch.delitem(sys.modules, "sightsmith.plugins.readers.heic", raising=False)
    folders(tmp_path / "some")
    for number in range(3):
        (tmp_path / "some" / "cat" / f"IMG_{number}.HEIC").write_bytes(HEIC)
    dataset = checked(tmp_path / "some")
    assert len(dataset.index.samples) == 8
    [warning] = told(dataset)
    assert warning.message.startswith("3 HEIC files are not read, because pi_heif is not installed: cat/IMG_0.HEIC")
    assert warning.hint == "pip install 'sightsmith[heic]'"
    for number in range(8):
        path = tmp_path / "all" / "ab"[number % 2] / f"{number}.heic"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(HEIC)
    problems = checked(tmp_path / "all").problems
    assert has_errors(problems)
    assert any("8 HEIC files are not read" in problem.message and "sightsmith[heic]" in str(problem.hint)
               for problem in problems)


def test_a_set_of_which_nothing_can_be_read_is_called_that(tmp_path):
    for number in range(6):
        path = tmp_path / "ab"[number % 2] / f"{number}.{('CR2', 'mgh.gz')[number > 3]}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(UserError, match=r"no images that can be read, but 4 \.cr2 files, 2 \.mgh files") as told:
        checked(tmp_path)
    assert "convert them to PNG" in told.value.hint
    picture(tmp_path / "c.png")
    with pytest.raises(UserError, match="no data set of a known format"):
        checked(tmp_path)


def test_a_set_of_one_kind_is_read(tmp_path):
    for kind in ("webp", "gif", "avif", "jp2", "ppm"):
        for number, path in enumerate(folders(tmp_path / kind)):
            with Image.open(path) as image:
                image.resize((40, 30 + number)).save(path.with_suffix(f".{kind}"))
            path.unlink()
        dataset = checked(tmp_path / kind)
        assert len(dataset.index.samples) == 8 and not told(dataset), kind
