"""Images of any number of bands: decoded exactly, used where all agree, refused where they do not."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from band_images import as_jpeg, bands, labelled, packed, save
from PIL import Image
from reading import READERS, probe, read_image
from test_image_files import checked
from test_images import tiff
from told import told

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.schema import ColorJitterConfig, Config, ImageConfig, TaskConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data import images
from sightsmith.engine.data.channels import choose_channels
from sightsmith.engine.data.color_jitter import color_jitter
from sightsmith.engine.data.images import read_frame
from sightsmith.engine.data.thumbnails import load_rgb, shown_bands

SMOOTH = np.asarray(Image.fromarray(bands(3, height=6, width=8, dtype=np.uint8)).resize((48, 40)))


def exact(path, values):
    found = probe(path)
    assert (found.channels, found.width, found.height) == (values.shape[2], values.shape[1], values.shape[0])
    white = np.iinfo(values.dtype).max
    read = read_image(path, channels=values.shape[2])
    assert np.array_equal(np.rint(read * (1 if values.dtype == np.uint8 else white)), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [2, 4, 5, 12, 64])
def test_interleaved_and_planar_bands_are_exact(tmp_path, count, dtype):
    values = bands(count, dtype=dtype)
    exact(save(tmp_path / "a.tif", values), values)
    exact(save(tmp_path / "b.tif", values, byteorder=">", rowsperstrip=7), values)
    exact(save(tmp_path / "t.tif", values, tile=(16, 32)), values)
    for name, options in (("p.tif", {}), ("q.tif", {"tile": (16, 16)})):
        tifffile.imwrite(tmp_path / name, values.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate",
                         **options)
        exact(tmp_path / name, values)


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("predictor", [1, 2])
def test_compressed_bands_are_exact(tmp_path, compression, predictor):
    for dtype in (np.uint8, np.uint16):
        values = bands(7, dtype=dtype)
        exact(packed(tmp_path / "a.tif", values, compression, predictor if compression > 1 else 1), values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "deflate"}, {"byteorder": ">"}])
def test_planes_of_colours_are_not_mixed_up(tmp_path, dtype, options):
    values = bands(3, dtype=dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", **options)
    exact(path, values)
    grey = bands(2, dtype=dtype)
    grey[..., 1] = np.iinfo(dtype).max
    tifffile.imwrite(path, grey.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate",
                     extrasamples=["unassalpha"], **options)
    assert np.array_equal(read_frame(Sample(path, "a")).values, grey[..., :1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_of_one_and_three_bands(tmp_path, dtype):
    values = np.linspace(-2, 2, 16 * 20 * 3).reshape(16, 20, 3).astype(dtype)
    for part, photometric in ((values, "rgb"), (values[..., :1], "minisblack")):
        tifffile.imwrite(tmp_path / "a.tif", part.squeeze(), photometric=photometric)
        assert np.allclose(4 * read_image(tmp_path / "a.tif", value_range=[-2, 2]) - 2, part, atol=1e-2)


def test_bands_in_jpeg(tmp_path):
    smooth = np.add.outer(np.arange(40), np.arange(48))[..., None] * np.arange(1, 6)[::-1] // 2
    for count, separate in ((4, False), (5, True), (4, True)):
        path = tmp_path / f"{count}{separate}.tif"
        values = np.ascontiguousarray(smooth[..., :count] % 256, np.uint8)
        decoded = as_jpeg(path, values, separate=separate)
        exact(path, decoded)
        assert np.abs(decoded.astype(int) - values).mean() < 8


def test_jpeg_of_many_scans_in_a_tiff(tmp_path, monkeypatch):
    as_jpeg(tmp_path / "a.tif", bands(4, dtype=np.uint8))
    monkeypatch.setattr("sightsmith.engine.data.image_limits.MAX_SCANS", 0)
    with pytest.raises(ImageError, match="the JPEG has more than 0 scans"):
        probe(tmp_path / "a.tif")


@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_floating_point_needs_a_range(tmp_path, predictor):
    values = np.linspace(-2, 2, 16 * 16 * 6, dtype=np.float32).reshape(16, 16, 6)
    path = packed(tmp_path / "a.tif", values, 8, predictor)
    with pytest.raises(ImageError, match=r"image.range=\[low,high\]"):
        read_image(path, channels=6)
    assert np.allclose(4 * read_image(path, channels=6, value_range=[-2, 2]) - 2, values, atol=1e-6)


def test_signed_numbers_and_white_as_zero(tmp_path):
    planes = [np.full((4, 4), value, np.int16) for value in (-32768, 0, 32767, 5)]
    signed = tiff(tmp_path / "a.tif", np.stack(planes, 2), sample_format=2)
    assert np.allclose(read_image(signed, channels=4)[0, 0, :3], [0, 32768 / 65535, 1])
    inverted = tiff(tmp_path / "b.tif", bands(5), photometric=0)
    plain = tiff(tmp_path / "c.tif", tifffile.imread(inverted), photometric=1)
    assert np.allclose(read_image(inverted, channels=5), 1 - read_image(plain, channels=5), atol=1e-6)


def test_bands_are_turned_upright(tmp_path):
    values = bands(5, dtype=np.uint8)
    path = tiff(tmp_path / "a.tif", values, photometric=1, orientation=6)
    assert np.array_equal(read_image(path, channels=5), np.rot90(values, -1))


def test_what_a_strip_may_become_is_bounded(tmp_path):
    path = packed(tmp_path / "a.tif", np.zeros((2048, 2048, 5), np.uint8), 8, claimed=(16, 16))
    probe(packed(tmp_path / "b.tif", np.zeros((16, 16, 5), np.uint8), 8))  # imports
    tracemalloc.start()
    assert np.array_equal(read_image(path, channels=5), np.zeros((16, 16, 5)))
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()


def test_damaged_and_strange_bands_give_one_sentence(tmp_path):
    path = save(tmp_path / "a.tif", bands(5))
    path.write_bytes(path.read_bytes()[:-2000])
    strange = packed(tmp_path / "b.tif", bands(5), 1)
    strange.write_bytes(strange.read_bytes().replace(b"\x03\1\3\0\1\0\0\0\1\0", b"\x03\1\3\0\1\0\0\0\x99\x87"))
    jpeg = packed(tmp_path / "d.tif", bands(5), 1)
    jpeg.write_bytes(jpeg.read_bytes().replace(b"\x03\1\3\0\1\0\0\0\1\0", b"\x03\1\3\0\1\0\0\0\7\0"))
    wide = tiff(tmp_path / "c.tif", np.zeros((16, 16, 65), np.uint8))
    for name, message in ((path, "damaged|cannot be decoded"), (strange, "compression 34713 is not supported"),
                          (jpeg, "5 interleaved bands of 16 bits in JPEG is not supported; save it with LZW"),
                          (wide, "65 bands; an image has at most 64")):
        with pytest.raises(ImageError, match=message):
            probe(name)


def test_channels_of_an_array_come_last(tmp_path):
    values = bands(12, dtype=np.uint8)
    np.save(tmp_path / "a.npy", values)
    exact(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", values.transpose(2, 0, 1))
    with pytest.raises(ImageError, match=r"as if its channels came first.*save it after .transpose\(1, 2, 0\)"):
        probe(tmp_path / "b.npy")


# Which bands are used

def of(count, tmp_path, *overrides, photometric="minisblack", images=8):
    labelled(tmp_path, lambda path, number: save(path.with_suffix(".tif"), bands(count, dtype=np.uint8),
                                                 photometric=photometric,
                                                 extra=[0] * (count - 3) if photometric == "rgb" else None), images)
    return checked(tmp_path, *overrides)


def chosen(dataset, **image):
    config = Config(task=TaskConfig("classification"), name="a", image=ImageConfig(**image))
    return {item.key: item.value for item in choose_channels(config, dataset)}


def test_all_bands_are_used_where_all_images_agree(tmp_path):
    dataset = of(12, tmp_path)
    assert told(dataset) == []
    found = chosen(dataset)
    assert (found["image.channels"], found["image.rgb"]) == ("12", False)
    values = np.stack([tifffile.imread(sample.path) for sample in dataset.train]) / 255
    assert np.allclose(found["image.mean"], values.mean((0, 1, 2)), atol=1e-4)
    assert np.allclose(found["image.std"], values.std((0, 1, 2)), atol=1e-4)


def test_the_colours_of_more_bands_are_known_or_said(tmp_path):
    dataset = of(5, tmp_path, photometric="rgb")
    assert chosen(dataset)["image.rgb"] is True
    assert "image.rgb" not in chosen(dataset, rgb=False)


def test_three_bands_and_grey_are_as_ever(tmp_path):
    dataset = of(3, tmp_path, photometric="rgb")
    assert chosen(dataset) == {"image.channels": "3"}


def test_three_of_more_are_used_if_you_say_so(tmp_path):
    dataset = of(5, tmp_path, "image.channels=3", photometric="rgb")
    [warning] = told(dataset)
    assert "more bands than colours" in str(warning) and "in 8 images" in str(warning)
    sample = dataset.index.samples[0]
    assert np.array_equal(images.read_input(sample, ImageConfig(channels="3")), tifffile.imread(sample.path)[..., :3])


def test_a_set_of_some_with_more_bands_keeps_the_colours(tmp_path):
    of(4, tmp_path, photometric="rgb")
    Image.fromarray(SMOOTH).save(tmp_path / "a" / "plain.png")
    dataset = checked(tmp_path)
    [warning] = told(dataset)
    assert "more bands than colours" in str(warning) and chosen(dataset) == {"image.channels": "3"}


def test_bands_without_colours_in_a_mixed_set_are_an_error(tmp_path):
    of(12, tmp_path)
    Image.fromarray(SMOOTH).save(tmp_path / "a" / "plain.png")
    with pytest.raises(UserError) as refused:
        told(checked(tmp_path))
    assert "8 images have 12 bands, and 3 channels are used: the images do not all have the same number" in \
        str(refused.value)


def test_other_bands_than_typed_are_an_error_with_both_numbers(tmp_path):
    for typed, said in (("5", "8 images have 12 bands, and 5 channels are used"),
                        ("3", "8 images have 12 bands, and 3 channels are used")):
        with pytest.raises(UserError, match=said):
            told(of(12, tmp_path / typed, f"image.channels={typed}"))


def test_declared_transparency_is_no_band(tmp_path):
    cutout = np.dstack([SMOOTH, np.where(SMOOTH[..., 0] > 128, 255, 0).astype(np.uint8)])
    labelled(tmp_path, lambda path, number: save(path.with_suffix(".tif"), np.roll(cutout, number, 1),
                                                 photometric="rgb", extra=[2]))
    dataset = checked(tmp_path)
    assert {info.channels for info in dataset.infos.values()} == {3} and told(dataset) == []
    beside = save(tmp_path / "b.tif", np.dstack([cutout, SMOOTH[..., :1]]), photometric="rgb", extra=[2, 0])
    info = probe(beside)
    assert (info.channels, info.colours) == (4, 3) and "transparency beside other bands" in info.notes[0]
    assert np.array_equal(read_image(beside, channels=4), np.dstack([SMOOTH, SMOOTH[..., 0]]))


def test_pages_are_channels_only_if_you_say_so(tmp_path):
    pages = bands(6, dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages.transpose(2, 0, 1), photometric="minisblack")
    assert (probe(path).frames, probe(path).channels) == (6, 1)
    info = images.probe(path, READERS, stack=True)
    assert (info.frames, info.channels, info.colours) == (1, 6, 0)
    assert np.array_equal(read_image(path, channels=6, stack=True), pages)
    tifffile.imwrite(path, pages[..., 0], photometric="minisblack")
    tifffile.imwrite(path, pages[..., 1].astype(np.uint16), photometric="minisblack", append=True)
    with pytest.raises(ImageError, match="image.pages=channels: the pages of the TIFF differ"):
        images.probe(path, READERS, stack=True)


def test_a_mean_of_another_length_is_refused_once_the_bands_are_known(tmp_path):
    dataset = of(4, tmp_path)
    with pytest.raises(UserError, match=r"image.mean=\[0.5, 0.5, 0.5\] is not a list of 4 numbers"):
        chosen(dataset, mean=[0.5, 0.5, 0.5])


# What is shown and jittered

def test_colours_are_shown_and_other_bands_stretched(tmp_path):
    values = np.dstack([SMOOTH, SMOOTH[..., :2] // 4])
    config = ImageConfig()
    sample = Sample(save(tmp_path / "a.tif", values, photometric="rgb", extra=[0, 0]), "a.tif")
    assert np.array_equal(load_rgb(sample, config), SMOOTH)
    sample = Sample(save(tmp_path / "b.tif", values // 4), "b.tif")
    shown = load_rgb(sample, config)
    assert shown.min() == 0 and shown.max() == 255 and (shown[..., 0] == 255).mean() < 0.1
    assert np.array_equal(load_rgb(sample, replace(config, rgb=True)), values[..., :3] // 4)
    said = shown_bands(config, [probe(tmp_path / "a.tif"), probe(tmp_path / "b.tif")])
    assert said == ("Of images with 5 bands, the first three are shown, from the 2nd to the 98th percentile of each. "
                    "Of images with 5 bands, red, green and blue are shown.")
    Image.fromarray(SMOOTH).save(tmp_path / "c.png")
    assert shown_bands(config, [probe(tmp_path / "c.png")]) == ""


def test_hue_and_saturation_change_the_colours_alone():
    image = torch.rand(5, 8, 8)
    only = ColorJitterConfig(brightness=0, contrast=0, saturation=0.5, hue=0.3)
    changed = color_jitter(image, only, lambda low, high: high, rgb=True)
    assert torch.equal(changed[3:], image[3:]) and not torch.allclose(changed[:3], image[:3])
    assert torch.equal(color_jitter(image, only, lambda low, high: high, rgb=False), image)
    bright = color_jitter(image, ColorJitterConfig(0.5, 0, 0, 0), lambda low, high: low, rgb=True)
    assert torch.allclose(bright, image / 2)
