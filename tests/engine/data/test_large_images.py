"""Images too large to be decoded whole: their parts are those of the whole image."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from large_images import COLUMNS, EXTRA, HEIGHT, JPEGS, LOSSLESS, ROWS, SMOOTH, WIDTH, everything_is_large, pillow, tiff
from PIL import Image
from reading import picture_values

from sightsmith.core.contracts.annotation import Object, Polygons, SemanticMask
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data import image_limits, images, unpacked
from sightsmith.engine.data.extra_band import NO_ALPHA
from sightsmith.engine.data.images import probe
from sightsmith.engine.data.large_image import LargeImage, averaged, reduction
from sightsmith.engine.data.mask_files import MaskError, count_values
from sightsmith.engine.data.masks import class_numbers, class_rows, decode, encode, encode_part, semantic_map
from sightsmith.engine.data.parts import read_part
from sightsmith.engine.data.thumbnails import load_rgb, load_rgb_part, scaled_box

BOXES = [(0, 0, WIDTH, HEIGHT), (37, 250, 130, 61), (WIDTH - 9, HEIGHT - 300, 9, 300), (0, 100, WIDTH, 20)]
MODEL = ImageConfig()


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a file, returns it with what it is as a usual image; from then on everything is large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        sample = Sample(path, name)
        info, frame = images._probe(path, (), False, None), images.read_frame(sample)
        everything_is_large(monkeypatch)
        return sample, info, frame
    return write


def native(frame):
    return frame.values.astype(frame.values.dtype.newbyteorder("="))


def part_of(sample, box, factor=1):
    with images.opened_sample(sample) as (reader, index):
        assert isinstance(reader, LargeImage)
        return reader.part(index, box, factor)


@pytest.mark.parametrize("name", [*LOSSLESS, *JPEGS])
def test_parts_are_those_of_the_whole_image(file, name):
    sample, info, whole = file(name, (LOSSLESS | JPEGS)[name])
    for box in BOXES:
        left, top, width, height = box
        found, wanted = part_of(sample, box), whole.values[top:top + height, left:left + width]
        assert found.values.shape == wanted.shape and found.values.dtype.name == wanted.dtype.name, name
        shown = 255 - found.values if found.inverted and not whole.inverted else found.values
        assert np.abs(shown.astype(float) - wanted).max() <= 3 * (name in JPEGS), (name, box)
        assert (found.bits, found.limits, found.colours) == (whole.bits, whole.limits, whole.colours)
    checked = images._probe(sample.path, (), False, None)
    assert (checked.width, checked.height, checked.channels, checked.bits, checked.monochrome, checked.blank) == (
        info.width, info.height, info.channels, info.bits, info.monochrome, info.blank)


@pytest.mark.parametrize("name", EXTRA)
def test_a_band_beside_the_colours_is_the_same_in_parts(file, name):
    sample, info, whole = file(name, EXTRA[name])
    assert np.array_equal(part_of(sample, (0, 100, WIDTH, HEIGHT - 100)).values, whole.values[100:])
    checked = images._probe(sample.path, (), False, None)
    assert (checked.notes, checked.channels, checked.colours, checked.monochrome, checked.blank) == (
        info.notes, info.channels, info.colours, info.monochrome, info.blank)
    if name.startswith("data-unassalpha"):
        assert checked.notes == (NO_ALPHA,)


@pytest.mark.parametrize("name", ["tiles.tif", "rgb.png", "rgb.jpg", "deep.tif", "float.tif", "grey.tif"])
@pytest.mark.parametrize("factor", [2, 4, 16])
def test_at_reduced_size_each_pixel_is_a_mean(file, name, factor):
    sample, _, whole = file(name, (LOSSLESS | JPEGS)[name])
    found, wanted = part_of(sample, BOXES[0], factor).values, averaged(native(whole), factor)
    assert found.shape == (-(-HEIGHT // factor), -(-WIDTH // factor), whole.values.shape[2]) == wanted.shape
    difference = np.abs(found.astype(float) - wanted)
    assert np.percentile(difference, 95) <= (4 if name in JPEGS else 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_parts_of_turned_images_are_those_of_the_upright_one(file, form, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    content = pillow(SMOOTH, form, exif=exif) if form != "TIFF" else pillow(
        SMOOTH, "TIFF", compression="tiff_lzw", tiffinfo={274: orientation})
    sample, info, whole = file(f"a.{form.lower()}", content)
    height, width = whole.values.shape[:2]
    left, top, across, down = box = (21, 33, 140, 210)
    found = part_of(sample, box).values
    assert np.abs(found.astype(float) - whole.values[top:top + down, left:left + across]).max() <= 3 * (form == "JPEG")
    with images.opened_sample(sample) as (reader, _):
        assert reader.upright == (width, height) == (info.width, info.height)


def test_a_jpeg_is_decoded_once_for_all_of_its_tiles(file, monkeypatch):
    sample, *_ = file("a.jpg", JPEGS["rgb.jpg"])
    part_of(sample, (0, 0, 128, 128), 8)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.draft", None)
    monkeypatch.setattr("cv2.imread", None)
    assert part_of(sample, (128, 0, 128, 128), 8).values.shape == (16, 16, 3)


def test_copies_in_another_format_have_the_same_digest(tmp_path, monkeypatch):
    everything_is_large(monkeypatch)
    names = ("tiles.tif", "big.tif", "strip.tif", "lzw.tif", "rgb.png")
    for name in names:
        (tmp_path / name).write_bytes(LOSSLESS[name])
    assert len({probe(tmp_path / name, ()).digests for name in names}) == 1


def test_a_smaller_version_in_the_file_is_used_for_what_is_read_at_reduced_size(tmp_path, monkeypatch):
    import tifffile

    everything_is_large(monkeypatch)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(SMOOTH, photometric="rgb", tile=(64, 64), compression="zlib")
        for factor in (2, 4):
            smaller = np.full((-(-HEIGHT // factor), WIDTH // factor, 3), factor, np.uint8)
            writer.write(smaller, photometric="rgb", tile=(64, 64), compression="zlib", subfiletype=1)
    sample = Sample(path, "a.tif")
    assert set(np.unique(part_of(sample, BOXES[0], 2).values)) == {2}
    assert set(np.unique(part_of(sample, BOXES[0], 8).values)) == {4}
    assert part_of(sample, (100, 200, 80, 40), 4).values.shape == (10, 20, 3)


def test_a_tile_is_read_alone_and_the_whole_at_reduced_size(file):
    sample, _, whole = file("a.tif", LOSSLESS["tiles.tif"])
    tile = read_part(Sample(sample.path, "a.tif", tile=(40, 60, 100, 90)), MODEL, 64)
    assert (tile.box, tile.size) == ((40, 60, 100, 90), (HEIGHT, WIDTH))
    assert np.array_equal(tile.values, whole.values[60:150, 40:140]) and tile.covers((40, 60, 100, 90))
    assert not tile.covers((0, 0, 10, 10)) and not tile.covers(None)
    assert np.array_equal(tile.cut((50, 60, 10, 20)), whole.values[60:80, 50:60])
    assert read_part(sample, MODEL, 100).values.shape[:2] == (HEIGHT // 4 + 1, WIDTH // 4 + 1)


def test_pictures_are_shown_at_reduced_size_with_boxes_in_their_place(file, monkeypatch):
    monkeypatch.setattr("sightsmith.engine.data.thumbnails.SHOWN_SIDE", 100)
    sample, _, whole = file("a.tif", LOSSLESS["tiles.tif"])
    pixels = load_rgb(sample, MODEL)
    assert pixels.shape == (133, 103, 3)
    assert scaled_box((0, 0, WIDTH, HEIGHT), pixels, (HEIGHT, WIDTH)) == pytest.approx((0, 0, 103, 133))
    assert np.array_equal(load_rgb_part(sample, MODEL, (10, 20, 30, 40)).values, whole.values[20:60, 10:40])


def test_an_image_is_reduced_no_further_than_its_use_needs():
    assert [reduction((20_000, 30_000), side) for side in (224, 640, 5_000, 20_000)] == [64, 16, 4, 4]
    assert reduction((4_000_000, 1_000), 900) == 8  # so that it fits into memory


def test_what_cannot_be_read_in_parts_says_what_to_do(tmp_path, monkeypatch):
    interlaced = bytearray(LOSSLESS["rgb.png"])
    interlaced[28] = 1
    files = {"progressive JPEG": pillow(SMOOTH, "JPEG", progressive=True), "interlaced PNG": bytes(interlaced),
             "only JPEG, PNG and TIFF are read in parts": pillow(SMOOTH, "WEBP"),
             "strips or tiles are too large": tiff(SMOOTH, photometric="rgb", compression="zlib", rowsperstrip=HEIGHT)}
    everything_is_large(monkeypatch)
    monkeypatch.setattr("sightsmith.engine.data.tiff_directory.MAX_PART", 1_000)
    for message, content in files.items():
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(ImageError, match=message) as raised:
            images._probe(tmp_path / "a", (), False, None)
        assert "tiles" in str(raised.value)


@pytest.mark.parametrize("name", ["rgb.png", "rgb.jpg", "tiles.tif", "lzw.tif"])
def test_files_that_are_cut_off_are_refused(tmp_path, monkeypatch, name):
    everything_is_large(monkeypatch)
    content = (LOSSLESS | JPEGS)[name]
    (tmp_path / name).write_bytes(content[:len(content) * 2 // 3])
    with pytest.raises(ImageError, match="cut off|damaged|cannot be decoded"):
        images._probe(tmp_path / name, (), False, None)


def test_a_header_that_claims_more_than_the_file_can_hold_costs_nothing(tmp_path):
    content = bytearray(LOSSLESS["rgb.png"])
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match="too few bytes for 60000 x 60000 pixels"):
        images._probe(tmp_path / "a.png", (), False, None)


def test_tiles_that_share_their_bytes_are_refused(tmp_path, monkeypatch):
    import tifffile

    path = tmp_path / "a.tif"
    path.write_bytes(tiff(SMOOTH, photometric="rgb", tile=(64, 64)))
    with tifffile.TiffFile(path, mode="r+b") as file:
        page = file.pages[0]
        length = max(page.databytecounts)
        page.tags["TileByteCounts"].overwrite([length * 4] * len(page.databytecounts))
    everything_is_large(monkeypatch)
    with pytest.raises(ImageError, match="its strips or tiles have more bytes than the file"):
        images._probe(path, (), False, None)


def test_large_pages_are_no_channels(tmp_path, monkeypatch):
    Image.fromarray(SMOOTH).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(SMOOTH)])
    everything_is_large(monkeypatch)
    with pytest.raises(ImageError, match="pages of 411 x 530 pixels are too large; save the channels as bands"):
        images._probe(tmp_path / "a.tif", (), True, None)


def test_more_pixels_than_any_image_has_are_refused(tmp_path, monkeypatch):
    everything_is_large(monkeypatch)
    monkeypatch.setattr(image_limits, "MAX_LARGE_PIXELS", 1_000)
    for name in ("rgb.png", "rgb.jpg", "tiles.tif"):
        (tmp_path / name).write_bytes((LOSSLESS | JPEGS)[name])
        with pytest.raises(ImageError, match="more than 1,000 in total; save it at a lower resolution"):
            images._probe(tmp_path / name, (), False, None)


def test_a_full_disk_is_said_before_it_is_filled(file, monkeypatch):
    sample, *_ = file("a.jpg", JPEGS["rgb.jpg"])
    monkeypatch.setattr(unpacked, "_free", lambda folder: 1_000)
    with pytest.raises(ImageError, match="need 0.0 GB on the disk of .* make room, or save it as a TIFF in tiles"):
        part_of(sample, BOXES[1])


def test_unpacked_pixels_leave_no_file(file):
    sample, *_ = file("a.jpg", JPEGS["rgb.jpg"])
    part_of(sample, BOXES[1])
    assert not [path for path in (sample.path.parent / "cache").rglob("*") if path.is_file()]


# Masks

REGIONS = ((ROWS // 50 + COLUMNS // 40) % 3).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.png", "p.png", "rgb.png", "a.tif", "p.tif"])
def test_parts_of_a_mask_are_those_of_the_whole_one(tmp_path, monkeypatch, name):
    picture = Image.fromarray(REGIONS)
    if name.startswith("p"):
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    elif name.startswith("rgb"):
        picture = Image.fromarray(np.dstack([REGIONS] * 3))
    path = tmp_path / name
    picture.save(path)
    scale = 0x010101 if name.startswith("rgb") else 1
    mask = SemanticMask(path, name, ((0, None), (scale, "a"), (2 * scale, "b")))
    counts, values = count_values(path), picture_values(path)
    everything_is_large(monkeypatch)
    assert count_values(path) == counts and np.array_equal(picture_values(path)[0], values[0])
    assert np.array_equal(class_numbers(mask, ["a", "b"], HEIGHT, WIDTH, (30, 40, 50, 60)), REGIONS[40:100, 30:80])
    assert np.array_equal(np.concatenate(list(class_rows(mask, ["a", "b"], HEIGHT, WIDTH))), REGIONS)
    sample = Sample(path, name, semantic_mask=mask)
    assert np.array_equal(semantic_map(sample, ["a", "b"], HEIGHT, WIDTH, step=4), REGIONS[::4, ::4])
    with pytest.raises(MaskError, match=f"the semantic mask is {WIDTH} x {HEIGHT} px, but its image is 3 x 3 px"):
        class_numbers(mask, ["a", "b"], 3, 3)


@pytest.mark.parametrize("box", [None, (0, 0, 5, 5), (100, 200, 120, 90), (WIDTH - 30, 0, 30, HEIGHT)])
@pytest.mark.parametrize("step", [1, 4])
def test_parts_of_run_lengths_and_polygons_are_those_of_the_whole_mask(box, step):
    left, top, width, height = box or (0, 0, WIDTH, HEIGHT)
    triangle = Polygons(((50.0, 40.0, 390.0, 300.0, 120.0, 500.0),))
    for mask in (encode(REGIONS == 1), triangle, encode(REGIONS == 9)):
        wanted = decode(mask, HEIGHT, WIDTH)[top:top + height:step, left:left + width:step]
        assert np.array_equal(decode(mask, HEIGHT, WIDTH, box, step), wanted)
    sample = Sample(Path(), "a", objects=(Object("b", (50.0, 40.0, 390.0, 500.0), triangle),))
    wanted = semantic_map(sample, ["a", "b"], HEIGHT, WIDTH)[top:top + height:step, left:left + width:step]
    assert np.array_equal(semantic_map(sample, ["a", "b"], HEIGHT, WIDTH, box, step), wanted)


@pytest.mark.parametrize("box", [(0, 0, WIDTH, HEIGHT), (40, 0, 30, HEIGHT), (7, 9, 50, 60), (WIDTH - 1, 5, 1, 1)])
def test_a_part_of_a_mask_is_encoded_as_the_whole_one(box):
    left, top, width, height = box
    random = np.random.default_rng(0)
    for part in (REGIONS[top:top + height, left:left + width] == 1, random.random((height, width)) < 0.5,
                 np.ones((height, width), bool), np.zeros((height, width), bool)):
        whole = np.zeros((HEIGHT, WIDTH), bool)
        whole[top:top + height, left:left + width] = part
        assert encode_part(part, box, HEIGHT, WIDTH) == encode(whole)
