"""Kinds of images beyond plain JPEG, PNG, TIFF and BMP, and the pages and bands of TIFF files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from broken_datasets import folders
from PIL import Image
from reading import probe, read_image
from test_image_files import checked
from test_images import tiff
from told import told

from sightsmith.core.contracts.image import ImageError

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
DEEP_RGB = RNG.integers(0, 65_536, (64, 64, 3), dtype=np.uint16)
SMOOTH = np.asarray(Image.fromarray(RGB[:6, :8]).resize((60, 40)))
FURTHER = np.asarray(Image.fromarray(RGB[10:16, :8, 0]).resize((60, 40)))


@pytest.mark.parametrize(("name", "options"), [("a.webp", {"lossless": True}), ("a.jp2", {}), ("a.ppm", {}),
                                               ("a.pnm", {})])
def test_lossless_kinds_are_exact(tmp_path, name, options):
    Image.fromarray(RGB).save(tmp_path / name, **options)
    assert np.array_equal(read_image(tmp_path / name), RGB)


@pytest.mark.parametrize("name", ["a.webp", "a.avif"])
def test_lossy_kinds_are_near(tmp_path, name):
    Image.fromarray(SMOOTH).save(tmp_path / name, quality=95)
    assert np.abs(read_image(tmp_path / name).astype(int) - SMOOTH).mean() < 6


def test_plain_and_deep_pnm(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P2\n# a comment\n3 1\n255\n0 7 255\n")
    assert read_image(tmp_path / "a.pgm").ravel().tolist() == [0, 7, 255]
    (tmp_path / "a.pbm").write_bytes(b"P4\n8 1\n\xf0")
    assert read_image(tmp_path / "a.pbm").ravel().tolist() == [0] * 4 + [255] * 4
    for channels, magic in ((1, b"P5"), (3, b"P6")):
        for white in (1023, 65_535):
            values = RNG.integers(0, white + 1, (5, 4, channels), dtype=np.uint16)
            (tmp_path / f"{white}.ppm").write_bytes(magic + b"\n4 5\n%d\n" % white + values.astype(">u2").tobytes())
            found = read_image(tmp_path / f"{white}.ppm")
            assert found.shape == (5, 4, channels) and np.array_equal(np.rint(found * white), values)
            assert probe(tmp_path / f"{white}.ppm").bits == white.bit_length()


def test_plain_text_of_more_than_8_bits(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P2\n3 1\n1023\n0 512 1023\n")
    assert np.array_equal(np.rint(read_image(tmp_path / "a.pgm").ravel() * 1023), [0, 512, 1023])


def test_deep_jpeg_2000(tmp_path):
    path = tmp_path / "a.jp2"
    assert cv2.imwrite(str(path), DEEP_RGB[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    assert probe(path).bits == 16 and np.array_equal(np.rint(read_image(path) * 65535), DEEP_RGB)
    content = path.read_bytes()
    (tmp_path / "a.j2k").write_bytes(content[content.index(b"\xff\x4f\xff\x51"):])
    assert np.array_equal(read_image(tmp_path / "a.j2k"), read_image(path))
    Image.fromarray(DEEP_RGB[..., 0]).save(path)
    assert probe(path).bits == 16 and np.array_equal(np.rint(read_image(path)[..., 0] * 65535), DEEP_RGB[..., 0])


def test_an_animation_is_its_first_frame(tmp_path):
    first, second = (Image.fromarray(values) for values in (SMOOTH, SMOOTH[::-1].copy()))
    for name in ("a.gif", "a.webp", "a.avif"):
        first.save(tmp_path / name, save_all=True, append_images=[second])
        info = probe(tmp_path / name)
        assert (info.frames, info.notes) == (1, ())
        found = read_image(tmp_path / name).astype(int)
        assert np.abs(found - SMOOTH).mean() < 12 < np.abs(found - SMOOTH[::-1]).mean()


def test_transparency_is_over_black(tmp_path):
    image = Image.frombytes("RGBA", (2, 1), bytes([200, 100, 50, 255, 200, 100, 50, 51]))
    image.save(tmp_path / "a.webp", lossless=True)
    assert read_image(tmp_path / "a.webp").tolist() == [[[200, 100, 50], [40, 20, 10]]]


# Pages and bands of TIFF files

def paged(path, *pages):
    """A TIFF of ``pages``, pairs of an image and its NewSubfileType."""
    images = []
    for image, subfile in pages:
        image.encoderinfo = {"tiffinfo": {254: subfile}}
        images.append(image)
    images[0].save(path, save_all=True, append_images=images[1:], tiffinfo={254: pages[0][1]})
    return path


def test_thumbnails_and_masks_are_no_frames(tmp_path):
    image = Image.fromarray(RGB)
    path = paged(tmp_path / "a.tif", (image, 0), (image.resize((20, 18)), 1), (Image.new("1", (60, 40)), 4))
    assert (probe(path).frames, probe(path).notes) == (1, ())
    assert np.array_equal(read_image(path), RGB)
    behind = paged(tmp_path / "b.tif", (image.resize((20, 18)), 1), (image, 0))
    assert (probe(behind).width, probe(behind).frames) == (60, 1) and np.array_equal(read_image(behind), RGB)
    alone = paged(tmp_path / "c.tif", (image, 1))
    assert np.array_equal(read_image(alone), RGB)


def test_pages_of_other_sizes_are_warned_of(tmp_path):
    image = Image.fromarray(RGB)
    paths = folders(tmp_path)
    other = paged(tmp_path / "cat" / "a.tif", (image, 0), (image.resize((30, 20)), 0), (image.rotate(180), 0))
    assert probe(other).frames == 2 and np.array_equal(read_image(other, 1), RGB[::-1, ::-1])
    dataset = checked(tmp_path)
    assert len(dataset.index.samples) == len(paths) + 2
    [warning] = told(dataset)
    assert str(warning).startswith("pages of another size than the first are left out in 1 image: cat/a.tif")


@pytest.mark.parametrize("extra", [0, None, 1, 2])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_band_that_is_not_transparency_leaves_the_colours_alone(tmp_path, extra, depth):
    scale = np.iinfo(depth).max // 255
    values = np.dstack([SMOOTH, FURTHER]).astype(depth) * depth(scale)
    path = tiff(tmp_path / "a.tif", values, photometric=2, extra=extra)
    found = probe(path)
    if extra:
        assert found.channels == 3 and found.notes[0].startswith("a band that is declared as transparency")
    else:
        assert (found.channels, found.colours, found.notes) == (4, 3, ())
    assert np.array_equal(np.rint(read_image(path) * (1 if depth == np.uint8 else 255)), SMOOTH)


@pytest.mark.parametrize("extra", [None, 1, 2])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_an_opaque_band_changes_nothing(tmp_path, extra, depth):
    values = np.dstack([SMOOTH, np.full_like(FURTHER, 255)]).astype(depth) * depth(np.iinfo(depth).max // 255)
    path = tiff(tmp_path / "a.tif", values, photometric=2, extra=extra)
    assert probe(path).notes == ()
    assert np.array_equal(np.rint(read_image(path) * (1 if depth == np.uint8 else 255)), SMOOTH)


def test_a_cutout_stays_transparent(tmp_path):
    opacity = np.where(FURTHER > 128, 255, 0).astype(np.uint8)
    opacity[5:9] = FURTHER[5:9]  # a soft edge
    path = tiff(tmp_path / "a.tif", np.dstack([SMOOTH, opacity]), photometric=2, extra=2)
    assert probe(path).notes == () and read_image(path)[opacity == 0].max() == 0
    assert np.array_equal(read_image(path)[opacity == 255], SMOOTH[opacity == 255])


def test_bands_are_counted_over_the_set(tmp_path):
    for number in range(8):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        tiff(folder / f"{number}.tif", np.dstack([np.roll(SMOOTH, number, 1), FURTHER]), photometric=2, extra=0)
    assert told(checked(tmp_path)) == []
    dataset = checked(tmp_path, "image.channels=3")
    [warning] = told(dataset)
    assert str(warning).startswith("more bands than colours, not declared as transparency (such as near infra-red)")
    assert "are left out in 8 images: a/0.tif" in str(warning)


def test_more_bands_than_the_network_takes_are_named(tmp_path):
    path = tiff(tmp_path / "a.tif", np.dstack([SMOOTH, FURTHER, FURTHER]), photometric=1)
    with pytest.raises(ImageError, match="it has 5 bands, none of them known to be colours, and 3 channels are used"):
        read_image(path)
    tiff(tmp_path / "b.tif", np.dstack([SMOOTH, FURTHER, FURTHER]), photometric=8)
    with pytest.raises(ImageError, match="the TIFF is damaged or of an unsupported kind"):
        probe(tmp_path / "b.tif")


def test_a_panorama_is_bounded_by_its_pixels(tmp_path):
    folders(tmp_path)
    Image.fromarray(RNG.integers(0, 256, (20, 5472), dtype=np.uint8)).save(tmp_path / "cat" / "wide.png")
    dataset = checked(tmp_path)
    assert dataset.infos["cat/wide.png"].width == 5472 and not told(dataset)
