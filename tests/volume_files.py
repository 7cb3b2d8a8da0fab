"""Volumes as medical tools write them."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import nrrd
import numpy as np
from reading import probe

from sightsmith.core.contracts.dataset import Sample
from sightsmith.engine.data.images import read_frame

THICK = (0.8, 0.8, 3.0)
"""The spacing of CT slices, mm."""
SHAPE = (20, 24, 28)
VALUES = np.random.default_rng(0).integers(-1000, 3000, SHAPE).astype(np.int16)


def values_of(path: Path, frame: int) -> np.ndarray:
    """(H, W, C) of a slice as it is in the file's units."""
    return read_frame(Sample(path, path.name, frame=frame, reader=probe(path).reader)).values


def affine_of(codes: str, spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
              origin: tuple[float, ...] = (-10.0, 5.0, 7.0)) -> np.ndarray:
    """(4, 4) of a volume whose axes lead to ``codes``, such as "LPS"."""
    affine = np.zeros((4, 4))
    for axis, (place, direction) in enumerate(nibabel.orientations.axcodes2ornt(codes).astype(int)):
        affine[place, axis] = direction * spacing[axis]
    affine[:, 3] = *origin, 1
    return affine


def nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None, **header: object) -> Path:
    """A NIfTI file; ``header`` are fields to change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, np.diag([-1.0, -1, 1, 1]) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def slicer(path: Path, values: np.ndarray, spacing: tuple[float, ...] = THICK, **header: object) -> Path:
    """A NRRD file as 3D Slicer saves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"space": "left-posterior-superior", "space directions": np.diag(spacing), "space origin": np.zeros(3)}
    nrrd.write(str(path), values, known | header)
    return path


def organ(seed: int, shape: tuple[int, int, int] = (40, 36, 8)) -> tuple[np.ndarray, np.ndarray]:
    """A body of int16 with an organ in the middle slices, and the organ's mask; the first slice is empty."""
    rng = np.random.default_rng(seed)
    body, mask = rng.integers(0, 60, shape, dtype=np.int16) - 30, np.zeros(shape, np.uint8)
    left, top = rng.integers(4, 20, 2)
    mask[left:left + 12, top:top + 10, 3:6] = 1
    body[mask > 0] += 200
    body[:, :, 0] = -1024
    return body, mask


def decathlon(root: Path, cases: int = 4, suffix: str = ".nii.gz") -> Path:
    """A task of the Medical Segmentation Decathlon."""
    for case in range(cases):
        body, mask = organ(case)
        affine = affine_of("LAS", THICK)
        nifti(root / "imagesTr" / f"spleen_{case}{suffix}", body, affine)
        nifti(root / "labelsTr" / f"spleen_{case}{suffix}", mask, affine)
    body, _ = organ(99)
    nifti(root / "imagesTs" / f"spleen_99{suffix}", body, affine_of("LAS", THICK))
    (root / "dataset.json").write_text(json.dumps({
        "name": "Spleen", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}, "numTraining": cases,
        "training": [{"image": f"./imagesTr/spleen_{case}{suffix}", "label": f"./labelsTr/spleen_{case}{suffix}"}
                     for case in range(cases)], "test": [f"./imagesTs/spleen_99{suffix}"]}))
    return root


def kits(root: Path) -> Path:
    for case in range(4):
        for name, values in zip(("imaging", "segmentation"), organ(case), strict=True):
            nifti(root / f"case_0000{case}" / f"{name}.nii.gz", values, affine_of("LAS", THICK))
    nifti(root / "case_00004" / "imaging.nii.gz", organ(9)[0], affine_of("LAS", THICK))
    nifti(root / "case_00000" / "instances" / "kidney_instance-1.nii.gz", organ(0)[1], affine_of("LAS", THICK))
    return root


MODALITIES = ("flair", "t1", "t1ce", "t2")


def brats(root: Path) -> Path:
    for case in range(4):
        body, mask = organ(case)
        for number, name in enumerate(MODALITIES):
            nifti(root / f"BraTS_00{case}" / f"BraTS_00{case}_{name}.nii.gz", (number + 1) * body,
                  affine_of("LAS", THICK))
        nifti(root / f"BraTS_00{case}" / f"BraTS_00{case}_seg.nii.gz", 4 * mask, affine_of("LAS", THICK))
    return root


def with_secrets(outside: Path) -> Path:
    """The folder ``set`` below ``outside``, with ``secret.raw`` outside of it, in a folder of it, and behind a link."""
    folder = outside / "set"
    (folder / "sub").mkdir(parents=True)
    for place in (outside / "secret.raw", folder / "sub" / "secret.raw"):
        place.write_bytes(VALUES.tobytes("F"))
    (folder / "link.raw").symlink_to(outside / "secret.raw")
    return folder
