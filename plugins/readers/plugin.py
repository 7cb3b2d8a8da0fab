"""Registers the readers of image files that are not built in."""

from __future__ import annotations

from sightsmith.plugin import ImageReaderRecord, hookimpl


@hookimpl
def sightsmith_image_readers() -> list[ImageReaderRecord]:
    return [ImageReaderRecord(
        name="dicom", title="DICOM", description="medical images, also of many frames, with windows and rescale",
        magic=((128, b"DICM"),), suffixes=(".dcm", ".dicom"), install="pip install 'sightsmith[dicom]'",
        builder="sightsmith.plugins.readers.dicom:DicomReader")]
