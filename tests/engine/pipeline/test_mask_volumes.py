"""Volumes through a run: the predicted masks of all slices are a volume that lies as the image."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from PIL import Image
from reading import probe
from small_runs import COMMON, MAPS
from volume_files import THICK, affine_of, decathlon, nifti, slicer

import sightsmith
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.engine.data.images import read_frame
from sightsmith.engine.pipeline.mask_volumes import MaskVolumes
from sightsmith.engine.pipeline.predict_files import PredictOptions, predict_files

SHAPE = (20, 24, 6)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SAR", "ILP"])
def test_the_masks_of_slices_become_a_volume_with_the_affine_of_the_image(tmp_path, codes):
    values = np.random.default_rng(0).integers(0, 200, SHAPE, dtype=np.uint8)
    path = nifti(tmp_path / "in" / "a.nii.gz", values, affine_of(codes, (1.0, 1.0, 1.0)))
    info = probe(path)
    volumes = MaskVolumes(tmp_path, "maps", {"in/a.nii.gz": info, "b.png": info})
    for frame in range(info.frames):
        # A network that answers with the grey levels themselves.
        found = read_frame(Sample(path, path.name, frame=frame, reader=info.reader)).values[..., 0]
        volumes.add("in/a.nii.gz", Prediction(path, info.width, info.height, frame, semantic_mask=found))
        volumes.add("c.png", Prediction(path, 1, 1, semantic_mask=found))
    assert volumes.entries["in/a.nii.gz"]["semantic_mask"] == "maps/in/a.nii.gz"
    written = nibabel.load(tmp_path / "maps" / "in" / "a.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj), values) and written.get_data_dtype() == np.uint8
    assert np.allclose(written.affine, nibabel.load(path).affine)


def test_volumes_that_differ_in_their_suffix_keep_it(tmp_path):
    values = np.zeros(SHAPE, np.uint8)
    infos = {"a.nii": probe(nifti(tmp_path / "a.nii", values)), "a.nrrd": probe(slicer(tmp_path / "a.nrrd", values))}
    volumes = MaskVolumes(tmp_path / "out", "maps", infos)
    for name, info in infos.items():
        for frame in range(info.frames):
            mask = np.zeros((info.height, info.width), np.uint8)
            volumes.add(name, Prediction(tmp_path / name, info.width, info.height, frame, semantic_mask=mask))
    assert {entry["semantic_mask"] for entry in volumes.entries.values()} == {
        "maps/a.nii.nii.gz", "maps/a.nrrd.nii.gz"}


@pytest.mark.slow
def test_train_predict_and_load_again(tmp_path):
    root = decathlon(tmp_path / "set")
    result = sightsmith.train([*MAPS, *COMMON, f"dataset.root={root}", "image.windows=[[40,400]]",
                               f"output_dir={tmp_path / 'runs'}"])
    assert result.metrics
    written = predict_files(sightsmith.load(str(result.run_dir)), str(root / "imagesTs"), PredictOptions(),
                            tmp_path / "predictions")
    content = json.loads((written.folder / "predictions.json").read_text())
    assert [entry["frame"] for entry in content["images"]] == list(range(8))
    [volume] = content["volumes"].values()
    assert volume["plane"] == "axial" and np.allclose(volume["spacing"], THICK)
    mask = nibabel.load(written.folder / volume["semantic_mask"])
    image = nibabel.load(root / "imagesTs" / "spleen_99.nii.gz")
    assert mask.shape == image.shape and np.allclose(mask.affine, image.affine)
    for entry in content["images"]:
        shown = np.asarray(Image.open(written.folder / entry["semantic_mask"]))
        assert np.array_equal(np.asarray(mask.dataobj)[:, ::-1, entry["frame"]].T, shown)
        assert (written.folder / entry["picture"]).is_file()
