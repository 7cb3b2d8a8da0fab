"""Registers the image readers."""

from __future__ import annotations

from sightsmith.plugin import ImageReaderRecord, hookimpl

VOLUMES = "pip install 'sightsmith[volumes]'"


@hookimpl
def sightsmith_image_readers() -> list[ImageReaderRecord]:
    return [
        ImageReaderRecord(
            name="dicom", title="DICOM", description="medical images with windows, rescaling and multiple frames",
            magic=((128, b"DICM"),), suffixes=(".dcm", ".dicom"), other_files=("dicomdir",),
            install="pip install 'sightsmith[dicom]'", builder="sightsmith.plugins.readers.dicom:DicomReader"),
        ImageReaderRecord(
            name="heic", title="HEIC", description="photos of phones, of 8 to 12 bits",
            magic=tuple((4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")),
            suffixes=(".heic", ".heif", ".hif"), install="pip install 'sightsmith[heic]'",
            builder="sightsmith.plugins.readers.heic:HeicReader"),
        ImageReaderRecord(
            name="nifti", title="NIfTI", description="medical volumes, as slices",
            magic=((344, b"n+1\0"), (344, b"ni1\0"), (4, b"n+2\0"), (4, b"ni2\0")),
            suffixes=(".nii", ".nii.gz"), install=VOLUMES, gzipped=True,
            builder="sightsmith.plugins.readers.nifti:NiftiReader"),
        ImageReaderRecord(
            name="nrrd", title="NRRD", description="volumes of 3D Slicer and others, as slices",
            magic=((0, b"NRRD000"),), suffixes=(".nrrd", ".nhdr"), install=VOLUMES,
            builder="sightsmith.plugins.readers.nrrd_volume:NrrdReader"),
        ImageReaderRecord(
            name="metaimage", title="MetaImage", description="volumes of ITK, as slices",
            magic=((0, b"ObjectType = Image"), (0, b"NDims = ")), suffixes=(".mha", ".mhd"), install=VOLUMES,
            builder="sightsmith.plugins.readers.metaimage:MetaImageReader"),
        ImageReaderRecord(
            name="npy", title="NumPy", description="arrays (H, W) and (H, W, 3)", magic=((0, b"\x93NUMPY"),),
            suffixes=(".npy",), builder="sightsmith.plugins.readers.numpy_array:NumpyReader"),
    ]
