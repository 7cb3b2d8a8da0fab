"""MetaImage: the same slices as from NIfTI, files of two parts, and what is refused."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest
from reading import probe, read_image
from volume_files import THICK, VALUES, affine_of, nifti, values_of, with_secrets

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data.images import read_header

TYPES = {"i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "INT", "u4": "UINT", "f4": "FLOAT",
         "f8": "DOUBLE"}


def metaimage(path, values, affine=None, *, packed=None, data=None, big=False, **changes):
    """A file as ITK writes it; ``values`` (x, y, z) or (C, x, y, z). ``data`` is the name of the file of the voxels,
    ``changes`` are keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels, shape = (values.shape[0], values.shape[1:]) if values.ndim == 4 else (1, values.shape)
    found = np.eye(4) if affine is None else np.diag([-1, -1, 1, 1]) @ affine  # of LPS
    found = found[:len(shape), [*range(len(shape)), 3]]
    spacing = np.linalg.norm(found[:, :-1], axis=0)
    content = values.astype(values.dtype.newbyteorder(">" if big else "<")).tobytes("F")
    content = packed(content) if packed else content
    header = {
        "ObjectType": "Image", "NDims": len(shape), "BinaryData": "True", "BinaryDataByteOrderMSB": str(big),
        "CompressedData": str(bool(packed)), "TransformMatrix": _text((found[:, :-1] / spacing).T.ravel()),
        "Offset": _text(found[:, -1]), "CenterOfRotation": _text([0] * len(shape)), "AnatomicalOrientation": "RAI",
        "ElementSpacing": _text(spacing), "DimSize": _text(shape),
        **({"ElementNumberOfChannels": channels} if channels > 1 else {}),
        "ElementType": f"MET_{TYPES[values.dtype.str[1:]]}"} | changes
    header["ElementDataFile"] = changes.get("ElementDataFile", data or "LOCAL")
    text = "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None).encode()
    path.write_bytes(text if data else text + content)
    if data:
        (path.parent / data).write_bytes(content)
    return path


def _text(values):
    return " ".join(f"{value:.17g}" for value in values)


@pytest.mark.parametrize("packed", [None, zlib.compress, gzip.compress])
@pytest.mark.parametrize("data", [None, "a.raw"])
@pytest.mark.parametrize("codes", ["LPS", "RAS", "SRP"])
def test_slices_lie_as_those_of_the_same_volume_in_nifti(tmp_path, packed, data, codes):
    affine = affine_of(codes, THICK)
    other = probe(nifti(tmp_path / "a.nii.gz", VALUES, affine))
    info = probe(metaimage(tmp_path / ("a.mhd" if data else "a.mha"), VALUES, affine, packed=packed, data=data))
    assert (info.width, info.height, info.frames) == (other.width, other.height, other.frames)
    assert np.allclose(info.geometry.affine, other.geometry.affine) and info.geometry.plane == other.geometry.plane
    assert info.digests == other.digests and info.limits == other.limits


def test_oblique_volumes_keep_their_place(tmp_path):
    angle = np.deg2rad(20)
    affine = affine_of("LPS", THICK)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]] @ affine[:3, :3]
    other = probe(nifti(tmp_path / "a.nii", VALUES, affine))
    assert np.allclose(probe(metaimage(tmp_path / "a.mha", VALUES, affine)).geometry.affine, other.geometry.affine,
                       atol=1e-5)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("big", [False, True])
def test_types_and_byte_orders(tmp_path, dtype, big):
    values = VALUES.clip(0, 100).astype(dtype)
    assert np.array_equal(values_of(metaimage(tmp_path / "a.mha", values, big=big), 7)[..., 0], values[:, :, 7].T)


def test_without_a_place_slices_are_as_stored(tmp_path):
    path = metaimage(tmp_path / "a.mha", VALUES, TransformMatrix=None, Offset=None, ElementSpacing="0.5 0.5 2")
    assert probe(path).geometry.spacing == (0.5, 0.5, 2)
    assert np.array_equal(values_of(path, 7)[..., 0], VALUES[:, :, 7].T)
    assert probe(metaimage(tmp_path / "b.mha", VALUES[:, :, 0])).frames == 1
    shorter = metaimage(tmp_path / "c.mhd", VALUES, data="c.raw", HeaderSize=-1)
    (tmp_path / "c.raw").write_bytes(bytes(77) + VALUES.tobytes("F"))
    assert np.array_equal(values_of(shorter, 7)[..., 0], VALUES[:, :, 7].T)


def test_colours_are_channels(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 6), dtype=np.uint8)
    path = metaimage(tmp_path / "a.mha", colours)
    assert np.array_equal(read_image(path, 4), colours[..., 4].transpose(2, 1, 0)) and probe(path).frames == 6


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "LIST", "LIST 2", "a%d.raw 1 9 1", "sub/secret.raw",
                                  "..", "missing.raw", "link.raw"])
def test_data_elsewhere_is_not_opened(tmp_path, name):
    folder = with_secrets(tmp_path)
    path = metaimage(folder / "a.mhd", VALUES, data="a.raw", ElementDataFile=name)
    with pytest.raises(ImageError, match="only one file in the same folder|is not in the same folder|a link out of"):
        probe(path)


@pytest.mark.parametrize(("changes", "message"), [
    ({"NDims": 4, "DimSize": "20 24 14 2"}, "4 dimensions, of the sizes 20 24 14 2"),
    ({"DimSize": "20 24"}, "3 dimensions, of the sizes 20 24"), ({"DimSize": "20 24 x"}, "'20 24 x' as dimsize"),
    ({"DimSize": None}, "lacks dimsize"), ({"DimSize": "20 24 29"}, "cut short"), ({"DimSize": "20 24 0"}, "its size"),
    ({"DimSize": "99999 99999 28"}, "more than 178,956,970 in total"), ({"ElementType": "MET_LONG"}, "type MET_LONG"),
    ({"ElementType": "MET_OTHER"}, "type MET_OTHER"), ({"BinaryData": "False"}, "voxels are text"),
    ({"BinaryData": "perhaps"}, "True or False"), ({"ElementSpacing": "1 1"}, "where 3 numbers"),
    ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "leaves out a direction"), ({"Offset": "a b c"}, "where 3 numbers"),
    ({"HeaderSize": -2}, "skips -2 bytes"), ({"CompressedData": "True"}, "cannot be decoded|cut short"),
    ({"ElementNumberOfChannels": 99}, "bands; an image has at most"),
    ({"ElementDataFile": "x = y"}, "not in the same")])
def test_damaged_headers_give_one_sentence(tmp_path, changes, message):
    with pytest.raises(ImageError, match=message):
        probe(metaimage(tmp_path / "a.mha", VALUES, **changes))


def test_a_header_without_an_end(tmp_path):
    (tmp_path / "a.mha").write_bytes(b"ObjectType = Image\nNDims = 3\n" * 10_000)
    with pytest.raises(ImageError, match="no ElementDataFile"):
        probe(tmp_path / "a.mha")


def test_a_bomb_is_not_inflated(tmp_path):
    path = metaimage(tmp_path / "a.mha", VALUES, packed=lambda content: zlib.compress(content + bytes(2**28)))
    assert np.array_equal(values_of(path, 7)[..., 0], VALUES[:, :, 7].T)
    with pytest.raises(ImageError, match="at most 2"):
        probe(metaimage(tmp_path / "b.mha", VALUES, packed=zlib.compress, DimSize="5000 5000 40",
                        ElementType="MET_DOUBLE"))


def test_masks_are_written_beside_it(tmp_path):
    path = metaimage(tmp_path / "a.mha", VALUES, affine_of("LPS", THICK))
    reader, builder = read_header(path, load_plugins().image_readers.values())
    saved = reader.save(np.zeros((28, 24, 20), np.uint8), tmp_path / "mask")
    assert builder == "sightsmith.plugins.readers.metaimage:MetaImageReader"
    assert np.allclose(probe(saved).geometry.affine, probe(path).geometry.affine)
