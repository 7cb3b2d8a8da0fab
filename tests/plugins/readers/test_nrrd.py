"""NRRD: the same slices as from NIfTI, files of two parts, and what is refused."""

from __future__ import annotations

import bz2

import nrrd
import numpy as np
import pytest
from reading import probe, read_image
from volume_files import THICK, VALUES, affine_of, nifti, slicer, values_of, with_secrets

from sightsmith.core.contracts.image import ImageError


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_slices_lie_as_those_of_the_same_volume_in_nifti(tmp_path, encoding):
    affine = affine_of("LPS", THICK)
    other = probe(nifti(tmp_path / "a.nii.gz", VALUES, affine))
    path = slicer(tmp_path / "a.nrrd", VALUES, encoding=encoding, **{"space origin": affine[:3, 3] * (-1, -1, 1)})
    info = probe(path)
    assert (info.width, info.height, info.frames, info.limits) == (20, 24, 28, (-32768, 32767))
    assert np.allclose(info.geometry.affine, other.geometry.affine) and info.geometry.plane == "axial"
    assert info.digests == other.digests
    assert np.array_equal(values_of(path, 7)[..., 0], VALUES[:, :, 7].T)


@pytest.mark.parametrize(("space", "signs"), [("right-anterior-superior", (1, 1, 1)), ("RAS", (1, 1, 1)),
                                              ("left-anterior-superior", (-1, 1, 1)), ("LPS", (-1, -1, 1))])
def test_spaces(tmp_path, space, signs):
    info = probe(slicer(tmp_path / "a.nrrd", VALUES, space=space))
    assert np.array_equal(np.sign(np.linalg.det(np.array(info.geometry.affine)[:, :3])), 1)
    corner = VALUES[::-1 if signs[0] > 0 else 1, ::-1 if signs[1] > 0 else 1, 7].T
    assert np.array_equal(values_of(tmp_path / "a.nrrd", 7)[..., 0], corner)


def test_without_a_space_slices_are_as_stored(tmp_path):
    nrrd.write(str(tmp_path / "a.nrrd"), VALUES, {"spacings": [0.5, 0.5, 2.0]})
    info = probe(tmp_path / "a.nrrd")
    assert info.geometry.spacing == (0.5, 0.5, 2) and np.array_equal(values_of(tmp_path / "a.nrrd", 7)[..., 0],
                                                                     VALUES[:, :, 7].T)
    nrrd.write(str(tmp_path / "b.nrrd"), VALUES[:, :, 0], {})
    assert probe(tmp_path / "b.nrrd").frames == 1


def test_colours_are_channels_and_lists_are_refused(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 6), dtype=np.uint8)
    gap = [[None] * 3, [0.8, 0, 0], [0, 0.8, 0], [0, 0, 3]]
    directions = {"space directions": np.array(gap, float), "kinds": ["RGB-color", "domain", "domain", "domain"]}
    path = slicer(tmp_path / "a.nrrd", colours, **directions)
    assert np.array_equal(read_image(path, 4), colours[..., 4].transpose(2, 1, 0)) and probe(path).frames == 6
    path = slicer(tmp_path / "b.seg.nrrd", colours, **directions | {"kinds": ["list", "domain", "domain", "domain"]})
    with pytest.raises(ImageError, match=r"a list of volumes of the shape 3 x 20 x 24 x 6 \(list, domain"):
        probe(path)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_a_header_and_its_data_in_the_same_folder(tmp_path, encoding):
    path = slicer(tmp_path / "a.nhdr", VALUES, encoding=encoding)
    assert len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(values_of(path, 7)[..., 0], VALUES[:, :, 7].T)


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "LIST", "LIST\na.raw\nb.raw", "a%d.raw 1 9 1",
                                  "sub/secret.raw", "..", "missing.raw", "link.raw"])
def test_data_elsewhere_is_not_opened(tmp_path, name):
    folder = with_secrets(tmp_path)
    path = slicer(folder / "a.nhdr", VALUES, encoding="raw")
    path.write_text(path.read_text().replace("data file: a.raw", f"data file: {name}"))
    with pytest.raises(ImageError, match="only one file in the same folder|is not in the same folder|a link out of"):
        probe(path)


def test_the_data_may_be_at_the_end(tmp_path):
    path = slicer(tmp_path / "a.nhdr", VALUES, encoding="raw")
    (tmp_path / "a.raw").write_bytes(bytes(77) + VALUES.tobytes("F"))
    text = path.read_text()
    path.write_text(text.replace("data file", "byte skip: -1\ndata file"))
    assert np.array_equal(values_of(path, 7)[..., 0], VALUES[:, :, 7].T)
    path.write_text(text.replace("data file", "byte skip: 77\ndata file"))
    assert np.array_equal(values_of(path, 8)[..., 0], VALUES[:, :, 8].T)


@pytest.mark.parametrize(("change", "message"), [
    (("sizes: 20 24 28", "sizes: 30000 30000 30000"), "30000 x 30000 pixels, more than"),
    (("sizes: 20 24 28", "sizes: 20 -24 28"), r"the sizes \[20, -24, 28\]"),
    (("sizes: 20 24 28", "sizes: 20 0 28"), r"the sizes \[20, 0, 28\]"),
    (("sizes: 20 24 28", "sizes: 20 24"), "the sizes"), (("sizes: 20 24 28", "sizes: 20 24 99"), "cut short"),
    (("type: int16", "type: block"), "the type 'block'"), (("type: int16", "type: string"), "the type 'string'"),
    (("encoding: raw", "encoding: ascii"), "its encoding is 'ascii'; save it as raw or gzip"),
    (("encoding: raw", "encoding: gzip"), "cannot be decoded"), (("encoding: raw", "encoding: bz2"), "cannot be dec"),
    (("encoding: raw", "encoding: raw\nline skip: 4"), "skips lines"),
    (("encoding: raw", "encoding: raw\nbyte skip: -7"), "skips -7 bytes"),
    (("(0.8,0,0)", "(nan,0.1,0)"), "not numbers"), (("(0.8,0,0)", "(0,0,0)"), "leaves out a direction"),
    (("space origin: (0,0,0)", "space origin: (0,0)"), "do not fit its dimension of 3"),
    (("dimension: 3", "dimension: x"), "cannot be decoded"), (("NRRD000", "NRRD999"), "format is unknown|cannot be")])
def test_hostile_headers(tmp_path, change, message):
    path = slicer(tmp_path / "a.nrrd", VALUES, encoding="raw")
    content = path.read_bytes()
    old, new = (text.encode() for text in change)
    if old not in content:
        old = old.replace(b"0.8,0,0", b"0.80000000000000004,0,0")
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(ImageError, match=message) as error:
        probe(path)
    assert "\n" not in str(error.value)


def test_a_compressed_bomb_is_read_no_further_than_the_header_says(tmp_path):
    path = slicer(tmp_path / "a.nrrd", VALUES, encoding="raw")
    head = path.read_bytes().partition(b"\n\n")[0].replace(b"raw", b"bzip2")
    path.write_bytes(head + b"\n\n" + bz2.compress(VALUES.tobytes("F") + bytes(2**27)))
    assert probe(path).frames == 28
