"""NIfTI: where slices and values come from, compared with nibabel; what is refused, and what refusing costs."""

from __future__ import annotations

import gzip
import json
import sys
import tracemalloc

import nibabel
import numpy as np
import pytest
from reading import READERS, probe, read_image
from volume_files import SHAPE, VALUES, affine_of, nifti, values_of

from sightsmith.core.contracts.image import ImageError
from sightsmith.engine.data import images
from sightsmith.engine.data.image_files import is_image_file
from sightsmith.plugins.readers import volume
from sightsmith.plugins.readers.nifti import NiftiReader


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "ILA"])
def test_axial_slices_are_those_of_the_closest_canonical_volume_as_radiologists_see_them(tmp_path, codes, name):
    path = tmp_path / name.lower()
    nifti(path, VALUES, affine_of(codes, (1.5, 1.5, 1.5)))
    path = path.rename(tmp_path / name)
    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    voxels, info = np.asarray(canonical.dataobj), probe(path)
    assert (info.width, info.height, info.frames, info.bits, info.channels) == (*voxels.shape, 16, 1)
    assert (info.geometry.plane, info.geometry.spacing) == ("axial", (1.5, 1.5, 1.5))
    for frame in (0, 5, info.frames - 1):
        # Left in the picture is the right of the patient, the top is the front, and the first slice the lowest.
        assert np.array_equal(values_of(path, frame)[..., 0], voxels[::-1, ::-1, frame].T)


@pytest.mark.parametrize("codes", ["RAS", "PIR"])
@pytest.mark.parametrize("plane", ["axial", "sagittal", "coronal"])
def test_the_affine_leads_back_to_a_marked_voxel(tmp_path, codes, plane):
    place, marked = (3, 5, 9), np.zeros(SHAPE, np.int16)
    marked[place] = 700
    thick = {"axial": "SI", "sagittal": "LR", "coronal": "AP"}[plane]
    spacing = tuple(4.0 if code in thick else 1.0 for code in codes)
    affine = affine_of(codes, spacing)
    path = nifti(tmp_path / "a.nii.gz", marked, affine)
    info = probe(path)
    assert info.geometry.plane == plane and info.geometry.spacing == (1, 1, 4)
    [frame] = [number for number in range(info.frames) if values_of(path, number).any()]
    row, column, _ = np.argwhere(values_of(path, frame))[0]
    assert np.allclose(np.array(info.geometry.affine) @ (column, row, frame, 1), (affine @ (*place, 1))[:3])
    assert [note for note in info.notes if plane in note] == list(info.notes) and bool(info.notes) == (plane != "axial")


@pytest.mark.parametrize(("plane", "left", "top", "deep"), [
    ("sagittal", "A", "S", "L"), ("coronal", "R", "S", "P"), ("axial", "R", "A", "S")])
def test_where_the_sides_of_a_picture_are(tmp_path, plane, left, top, deep):
    codes = "RAS"
    spacing = [3.0 if code in {"L": "R", "P": "A", "S": "S"}[deep] else 1.0 for code in codes]
    info = probe(nifti(tmp_path / "a.nii", VALUES, affine_of(codes, spacing)))
    affine = np.array(info.geometry.affine)
    leads = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    for column, (side, sign) in enumerate([(left, -1), (top, -1), (deep, 1)]):
        axis, direction = leads[side]
        assert np.sign(affine[axis, column]) == sign * direction, plane


def test_slightly_thicker_slices_of_another_plane_are_not_taken(tmp_path):
    assert probe(nifti(tmp_path / "a.nii", VALUES, affine_of("RAS", (1.9, 1, 1)))).geometry.plane == "axial"
    assert probe(nifti(tmp_path / "b.nii", VALUES, affine_of("RAS", (2, 1, 1)))).geometry.plane == "sagittal"


def test_values_are_those_of_get_fdata(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", VALUES, scl_slope=0.5, scl_inter=-100)
    with gzip.open(path) as file:
        content = bytearray(file.read())
    content[112:120] = np.array([0.5, -100], "<f4").tobytes()  # nibabel's own writer resets them
    path.write_bytes(gzip.compress(bytes(content)))
    expected = nibabel.load(path).get_fdata()
    assert np.array_equal(values_of(path, 3)[..., 0], expected[:, :, 3].T)
    info = probe(path)
    assert info.extent == (expected.min(), expected.max())
    assert info.limits == (-32768 * 0.5 - 100, 32767 * 0.5 - 100)


def test_windows_and_the_range_of_the_header(tmp_path):
    path = nifti(tmp_path / "a.nii", VALUES)
    window = read_image(path, 3, windows=[[40, 400]])
    expected = np.clip((VALUES[:, :, 3].T[..., None] - (40 - 0.5 - 399 / 2)) / 399, 0, 1)
    assert np.allclose(window, expected, atol=1e-6)
    decimals = nifti(tmp_path / "b.nii", VALUES.astype(np.float32), cal_min=-200, cal_max=300)
    assert probe(decimals).limits == (-200, 300)
    assert np.allclose(read_image(decimals, 3), np.clip((VALUES[:, :, 3].T[..., None] + 200) / 500, 0, 1), atol=1e-6)
    with pytest.raises(ImageError, match=r"image.range=\[low,high\]"):
        read_image(nifti(tmp_path / "c.nii", VALUES.astype(np.float32)), 3)


def test_other_types_and_byte_orders(tmp_path):
    for kind in ("u1", "i1", "u2", "i4", "f4", "f8"):
        values = VALUES.astype(kind)
        path = nifti(tmp_path / f"{kind}.nii.gz", values)
        assert values_of(path, 2).dtype == kind and np.array_equal(values_of(path, 2)[..., 0], values[:, :, 2].T)
    big = nibabel.Nifti1Image(VALUES, np.diag([-1.0, -1, 1, 1]), nibabel.Nifti1Header(endianness=">"))
    nibabel.save(big, tmp_path / "big.nii")
    nibabel.save(nibabel.Nifti2Image(VALUES, np.diag([-1.0, -1, 1, 1])), tmp_path / "two.nii.gz")
    for name in ("big.nii", "two.nii.gz"):
        assert np.array_equal(values_of(tmp_path / name, 2)[..., 0], VALUES[:, :, 2].T)


def test_flat_and_single_slices(tmp_path):
    info = probe(nifti(tmp_path / "a.nii", VALUES[:, :, 0]))
    assert (info.width, info.height, info.frames) == (20, 24, 1)
    sagittal = probe(nifti(tmp_path / "b.nii", VALUES[:1], affine_of("RAS")))
    assert (sagittal.width, sagittal.height, sagittal.frames, sagittal.geometry.plane) == (24, 28, 1, "sagittal")


def test_colours_and_vectors_are_channels(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    packed = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    path = nifti(tmp_path / "a.nii.gz", packed)
    assert np.array_equal(values_of(path, 4), colours[:, :, 4].swapaxes(0, 1)) and probe(path).channels == 3
    vectors = VALUES[:, :, :, None, None] + np.arange(5, dtype=np.int16)
    image = nibabel.Nifti1Image(vectors, np.diag([-1.0, -1, 1, 1]))
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "b.nii")
    assert np.array_equal(values_of(tmp_path / "b.nii", 4), vectors[:, :, 4, 0].swapaxes(0, 1))


def test_a_series_is_named_as_what_it_is(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", np.zeros((20, 24, 5, 7), np.int16))
    says = r"a series of volumes of the shape 20 x 24 x 5 x 7 .*four_to_three does, or, if they are channels, type " \
           r'image.channels=7 or name 7 in a dataset.json: {"channel_names": {"0": "T1", ...}}'
    for content in (None, "[]", "{", '{"modality": {"0": "CT"}}', '{"modality": [1, 2, 3, 4, 5, 6, 7]}'):
        if content is not None:
            (tmp_path / "dataset.json").write_text(content)
        with pytest.raises(ImageError, match=says):
            probe(path)
    with pytest.raises(ImageError, match="series of volumes of the shape 20 x 24 x 5 x 7"):
        probe(nifti(tmp_path / "c.nii.gz", np.zeros((20, 24, 5, 7, 1), np.int16)))
    assert probe(nifti(tmp_path / "b.nii.gz", np.zeros((20, 24, 5, 1), np.int16))).frames == 5


@pytest.mark.parametrize("key", ["modality", "channel_names"])
@pytest.mark.parametrize("folder", [".", "imagesTr"])
def test_a_series_is_channels_if_the_data_set_names_them(tmp_path, key, folder):
    values = VALUES[..., None] + np.arange(4, dtype=np.int16)
    (tmp_path / "dataset.json").write_text(json.dumps({key: {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}}))
    for name in ("a.nii", "a.nii.gz"):
        path = nifti(tmp_path / folder / name, values)
        info = probe(path)
        assert (info.channels, info.frames, info.windowed) == (4, 28, False)
        assert np.array_equal(values_of(path, 7), values[:, :, 7].swapaxes(0, 1))


@pytest.mark.parametrize("names", [("a.hdr", "a.img"), ("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz")])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
def test_a_header_and_its_image(tmp_path, names, kind):
    nibabel.save(kind(VALUES, affine_of("RAS")), tmp_path / "b.img")
    for name, source in zip(names, ("b.hdr", "b.img"), strict=True):
        content = (tmp_path / source).read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    one = nifti(tmp_path / "one.nii", VALUES, affine_of("RAS"))
    path = tmp_path / names[0]
    assert is_image_file(path, READERS) and not is_image_file(tmp_path / names[1], READERS)
    assert probe(path).digests == probe(one).digests and probe(path).geometry == probe(one).geometry
    (tmp_path / names[1]).unlink()
    with pytest.raises(ImageError, match=r"it is the header of a.img, which is not in the same folder"):
        NiftiReader(path)
    outside = tmp_path.parent / f"{tmp_path.name}.img"
    outside.write_bytes(bytes(100))
    (tmp_path / names[1]).symlink_to(outside)
    with pytest.raises(ImageError, match=r"is a link out of its folder"):
        NiftiReader(path)


def changed(path, *changes):
    """A file with bytes of its header replaced: (offset, dtype, values)."""
    content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    for offset, kind, value in changes:
        part = np.array(value, kind).tobytes()
        content[offset:offset + len(part)] = part
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(("changes", "message"), [
    ([(42, "<i2", [30_000] * 3)], "30000 x 30000 pixels, more than"),
    ([(42, "<i2", [10_000, 10_000, 4_000])], "frames of 10000 x 10000 pixels are more than"),
    ([(42, "<i2", [1, 1, 30_000])], "30000 frames"),
    ([(42, "<i2", [20, -24, 28])], "its size is 20 x -24 x 28 voxels"),
    ([(42, "<i2", [20, 24, 0])], "its size is 20 x 24 x 0 voxels"),
    ([(42, "<i2", [20, 24, 29])], "it is cut short: its voxels have 27,840 bytes, and it has 26,880"),
    ([(280, "<f4", np.nan)], "its affine, .*, has values that are not numbers"),
    ([(280, "<f4", [0, 0, 0])], "its affine, .*, leaves out a direction"),
    ([(40, "<i2", 9)], "cannot be decoded|does not begin"), ([(70, "<i2", 1234)], "cannot be decoded"),
    ([(70, "<i2", [32, 64])], "type complex64, which images do not have"),
    ([(344, "S3", b"ni1")], "is the header of a.img, which is not"),
    ([(344, "S3", b"abc")], "no mark of NIfTI|cannot be decoded|its format is unknown"),
    ([(108, "<f4", 1e9)], "cut short|begin at the byte"), ([(108, "<f4", np.nan)], "cannot be decoded"),
    ([(108, "<f4", -5000)], "cut short|cannot be decoded")])
def test_hostile_headers_cost_nothing(tmp_path, name, changes, message):
    path = changed(nifti(tmp_path / name, VALUES), *changes)
    probe(nifti(tmp_path / "b.nii.gz", VALUES))  # imports
    tracemalloc.start()
    with pytest.raises(ImageError, match=message) as error:
        probe(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert "\n" not in str(error.value)


def test_a_bomb_is_inflated_no_further_than_its_header_says(tmp_path):
    path = nifti(tmp_path / "a.nii", VALUES)
    path.with_suffix(".nii.gz").write_bytes(gzip.compress(path.read_bytes() + bytes(2**26)))
    tracemalloc.start()
    assert probe(tmp_path / "a.nii.gz").frames == 28
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_compressed_volume_has_a_limit_and_an_uncompressed_one_only_that_of_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(volume, "MAX_BYTES", VALUES.nbytes - 1)
    assert probe(nifti(tmp_path / "a.nii", VALUES)).frames == 28
    with pytest.raises(ImageError, match="save it without compression"):
        probe(nifti(tmp_path / "a.nii.gz", VALUES))


@pytest.mark.parametrize("keep", [1, 30, 400, 20_000])
def test_cut_files_are_one_sentence(tmp_path, keep):
    path = nifti(tmp_path / "a.nii.gz", VALUES)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ImageError):
        probe(path)


def test_slices_in_any_order_decode_a_compressed_volume_once(tmp_path, monkeypatch):
    path, other = nifti(tmp_path / "a.nii.gz", VALUES), nifti(tmp_path / "b.nii.gz", VALUES[::-1])
    decoded = []
    decode = volume.Stored._decoded
    monkeypatch.setattr(volume.Stored, "_decoded", lambda stored: decoded.append(stored.path) or decode(stored))
    for frame in (3, 9, 1, 27, 9):
        assert np.array_equal(values_of(path, frame)[..., 0], VALUES[:, :, frame].T)
    assert decoded == [path]
    values_of(other, 2)
    nifti(path, VALUES + 1)
    assert np.array_equal(values_of(path, 3)[..., 0], VALUES[:, :, 3].T + 1)
    assert decoded == [path, other, path]


def test_a_volume_is_known_by_content_also_when_it_is_compressed(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        path = nifti(tmp_path / name, VALUES).rename(tmp_path / f"{name}.upload")
        assert probe(path).frames == 28
    other = tmp_path / "b.upload"
    other.write_bytes(gzip.compress(b"no volume" * 100))
    with pytest.raises(ImageError, match="a gzip file; images are"):
        probe(other)


def test_without_the_extra(tmp_path, monkeypatch):
    path = nifti(tmp_path / "a.nii.gz", VALUES)
    for name in ("nifti", "volume"):
        monkeypatch.delitem(sys.modules, f"sightsmith.plugins.readers.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImageError, match=r"reading NIfTI needs nibabel, which is not installed: "
                                         r"pip install 'sightsmith\[volumes\]'"):
        images.probe(path, READERS)


def test_a_wrong_bit_of_a_compressed_file_is_found_by_its_checksum(tmp_path):
    path = nifti(tmp_path / "a.nii", VALUES)
    packed = bytearray(gzip.compress(path.read_bytes(), 0))  # stored as it is, so that any bit decodes
    packed[len(packed) // 2] ^= 1
    path.with_name("b.nii.gz").write_bytes(packed)
    with pytest.raises(ImageError, match="CRC check failed"):
        probe(path.with_name("b.nii.gz"))
