"""Images that an EXIF orientation turns, of whose annotation no size says to which picture it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import probe

from sightsmith.core.contracts.annotation import Object, SemanticMask
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.engine.data.check_orientation import about_orientation

BOX = (Object("a", (1.0, 1.0, 9.0, 9.0)),)
MASK = SemanticMask(Path("m.png"), "m.png", ((0, None), (1, "a")))


def problems(folder, orientation, stored, suffix=".jpg", **annotation):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.zeros((*stored, 3), np.uint8)).save(folder / f"photo{suffix}", exif=exif)
    info = probe(folder / f"photo{suffix}")
    sample = Sample(folder / f"photo{suffix}", f"photo{suffix}", **annotation)
    return about_orientation(DatasetIndex(folder, "yolo", ("a",), (sample, sample)), {sample.name: info})


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_orientation_of_a_square_image_is_named_once(tmp_path, orientation, suffix):
    [problem] = problems(tmp_path, orientation, (20, 20), suffix, objects=BOX, size=(20, 20))
    assert problem.severity == "warning" and "exiftool -Orientation=" in problem.hint
    assert "1 image is stored turned or mirrored, with an EXIF orientation, and no size says whether it was " \
           f"annotated as stored: photo{suffix}. Annotation is taken" in problem.message


@pytest.mark.parametrize(("orientation", "annotation", "named"), [
    (6, {"objects": BOX, "size": (20, 30)}, False), (3, {"objects": BOX, "size": (20, 30)}, True),
    (6, {"objects": BOX}, True), (6, {"semantic_mask": MASK}, False), (4, {"semantic_mask": MASK}, True),
    (1, {"objects": BOX}, False), (6, {"labels": ("a",)}, False)])
def test_where_sizes_tell_or_nothing_has_a_place_there_is_no_warning(tmp_path, orientation, annotation, named):
    assert bool(problems(tmp_path, orientation, (20, 30), **annotation)) is named
