"""DICOM files that tests make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset


def dicom(path: Path, values: np.ndarray, bits: int = 12, photometric: str = "MONOCHROME2", **elements: object) -> Path:
    """A native DICOM file of (H, W), or (frames, H, W), values."""
    data = Dataset()
    data.ensure_file_meta()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = uid.CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = uid.generate_uid(entropy_srcs=["a"])
    data.Rows, data.Columns = values.shape[-2:]
    if values.ndim == 3:
        data.NumberOfFrames = len(values)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, photometric
    data.BitsAllocated, data.BitsStored, data.HighBit = values.itemsize * 8, bits, bits - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    data.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    data["PixelData"].VR = "OB" if values.itemsize == 1 else "OW"
    data.save_as(path, enforce_file_format=True)
    return path


def slices(root, studies=8, per_study=3, patient=lambda study: "1CT1"):
    """CT slices, each another picture, in two classes by study, of which each is of a ``patient``."""
    source = get_testdata_file("CT_small.dcm", download=False)
    for study in range(studies):
        for number in range(per_study):
            data = pydicom.dcmread(source)
            data.StudyInstanceUID, data.PatientID = f"1.2.{study}", patient(study)
            pixels = data.pixel_array.copy()
            pixels[:4, :4] = 100 * study + number
            data.PixelData = pixels.tobytes()
            path = root / ("ill" if study % 2 else "well") / f"{study}-{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            data.save_as(path)
