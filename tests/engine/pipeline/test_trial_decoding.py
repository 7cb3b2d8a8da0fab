"""Files that no process survives, or waits for, are told, and the next one is decoded."""

from __future__ import annotations

import numpy as np
import psutil
import pytest
from broken_datasets import picture
from hostile_readers import RECORDS
from reading import READERS
from volume_files import nifti

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.pipeline.trial_decoding import TooManyPixelsError, TrialDecoder, trial_error

SECONDS = 60


@pytest.fixture
def decoder():
    decoder = TrialDecoder(RECORDS, ImageConfig(), 10_000)
    yield decoder
    decoder.close()


def test_whatever_a_file_does_the_next_is_decoded(decoder, tmp_path):
    good = picture(tmp_path / "good.png")
    for kind, seconds, said in (("ENDLESS", 0.2, "is not decoded within 0.2 s"), ("CRASH", SECONDS, "has crashed"),
                                ("GREEDY", SECONDS, "too much memory"), ("nothing", SECONDS, "images are JPEG")):
        (tmp_path / "bad").write_bytes(kind.encode() + bytes(100))
        with pytest.raises(ImageError, match=said):
            decoder.decode(tmp_path / "bad", seconds)
        decoder.decode(good, SECONDS)
    with pytest.raises(TooManyPixelsError, match="0.0 million pixels; the limit is 0.01"):
        decoder.decode(picture(tmp_path / "large.png", size=(200, 51)), SECONDS)
    with pytest.raises(ImageError, match="No such file"):
        decoder.decode(tmp_path / "gone.png", SECONDS)


def test_its_process_ends(decoder, tmp_path):
    decoder.decode(picture(tmp_path / "good.png"), SECONDS)
    children = psutil.Process().children(recursive=True)
    [child] = [process for process in children if "spawn_main" in str(process.cmdline())]
    decoder.close()
    assert not child.is_running()


@pytest.mark.parametrize(("channels", "said"), [("4", None), ("auto", "series of volumes"), ("5", "series of volumes")])
def test_a_series_of_volumes_is_decoded_as_the_model_reads_it(tmp_path, channels, said):
    path = nifti(tmp_path / "a.nii.gz", np.zeros((20, 24, 5, 4), np.int16))
    error = trial_error(path, READERS, ImageConfig(channels=channels), 1e6)
    assert error is None if said is None else said in str(error)
