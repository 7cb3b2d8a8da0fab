"""Every way on which ``network.options`` reach a model ends at the same gate: exit code 2, and nothing is run."""

from __future__ import annotations

import json

import pytest
import yaml
from command_line import refused
from PIL import Image
from shared_runs import copied
from small_runs import BOXES, SMALL

import sightsmith
from sightsmith.core.util.errors import UserError


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def options(marker):
    """They write the marker when mmdet evaluates them."""
    return {"bbox_head": {"bbox_coder": {"_delete_": True, "type": "mmdet.CameraMotionCompensation",
                                         "warp_mode": f"open({str(marker)!r}, 'w')"}}}


SAYS = "network.options.bbox_head.bbox_coder.type=mmdet.CameraMotionCompensation is not a part of the zoos' networks"


@pytest.fixture
def stranger(boxes, tmp_path, options):
    """A run whose card has these options."""
    run = copied(boxes, tmp_path).run_dir
    card = json.loads((run / "model" / "model.json").read_text())
    card["config"]["network"]["options"] = options
    (run / "model" / "model.json").write_text(json.dumps(card))
    return run


def test_overrides(tmp_path, marker):
    said = refused("train", *SMALL, *BOXES, f"output_dir={tmp_path / 'runs'}", "trainer.dry_run=true",
                   "+network.options.bbox_head.bbox_coder.type=mmdet.CameraMotionCompensation",
                   f"+network.options.bbox_head.bbox_coder.warp_mode='open(\"{marker}\", \"w\")'")
    assert SAYS in said and "network.options may only choose parts" in said
    assert f"warp_mode=open(\"{marker}\", \"w\") is not allowed" in said
    assert not marker.exists()


def test_the_file_of_a_preset(tmp_path, marker, options):
    preset = tmp_path / "stranger.yaml"
    preset.write_text(yaml.safe_dump({
        "title": "stranger", "description": "a stranger's", "modality": "photograph", "images": "photographs",
        "annotation": "boxes", "cases": 10, "task": "detection", "network": "rtmdet_tiny",
        "config": {"network": {"weights": "none", "options": options}, "image": {"size": 64}}}))
    said = refused("train", f"preset={preset}", "dataset.root=sample", "dataset.limit=20", "trainer.dry_run=true",
                   "logger=[]", f"output_dir={tmp_path / 'runs'}")
    assert SAYS in said and f"The preset {preset} may only choose parts" in said
    assert not marker.exists()


def test_the_card_of_a_model(stranger, marker, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    said = refused("predict", f"run={stranger}", f"input={tmp_path / 'image.png'}", f"output_dir={tmp_path / 'out'}")
    assert SAYS in said and f"{stranger / 'model' / 'model.json'}: " in said
    with pytest.raises(UserError, match="mmdet.CameraMotionCompensation is not a part"):
        sightsmith.load(str(stranger)).model  # noqa: B018
    assert not marker.exists()


def test_the_card_of_a_base_run(stranger, marker, tmp_path):
    said = refused("train", f"base_run={stranger}", "dataset.root=sample", "dataset.limit=20", "trainer.dry_run=true",
                   "logger=[]", f"output_dir={tmp_path / 'runs'}")
    assert SAYS in said and f"The base run {stranger} may only choose parts" in said
    assert not marker.exists()


def test_a_rerun(stranger, marker, tmp_path, options):
    config = yaml.safe_load((stranger / "config.yaml").read_text())
    config["network"]["options"] = options
    (stranger / "config.yaml").write_text(yaml.safe_dump(config))
    refused("verify", f"run={stranger}", "rerun=true")
    assert not marker.exists()
