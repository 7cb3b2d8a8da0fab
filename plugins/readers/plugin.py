"""Registers the image reader for DICOM."""

from __future__ import annotations

from sightsmith.plugin import ImageReaderRecord, hookimpl


@hookimpl
def sightsmith_image_readers() -> list[ImageReaderRecord]:
    return [ImageReaderRecord(
        name="dicom", title="DICOM", description="medical images with windows, rescaling and multiple frames",
        magic=((128, b"DICM"),), suffixes=(".dcm", ".dicom"), install="pip install 'sightsmith[dicom]'",
        builder="sightsmith.plugins.readers.dicom:DicomReader")]
