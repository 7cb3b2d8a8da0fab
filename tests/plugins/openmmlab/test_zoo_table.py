"""The table of what the zoos' networks did in the sweep: complete, and what `list networks` and a run go by."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.plugins import openmmlab
from sightsmith.plugins.commands.listing import rows
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.networks import FAILED, OK, UNSUPPORTED, UNTRIED, ZOO, ZOO_COLUMNS

TABLE = list(csv.DictReader(files(openmmlab).joinpath(ZOO).read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("package", ["mmdet", "mmseg"])
def test_every_configuration_of_the_installed_zoo_has_a_row(package):
    assert [row["config"] for row in TABLE if row["package"] == package] == zoo.names(package)


def test_rows_say_what_was_found():
    assert tuple(TABLE[0]) == ZOO_COLUMNS
    assert {row["result"] for row in TABLE} <= {OK, FAILED, UNSUPPORTED, UNTRIED}
    for row in TABLE:
        assert row["reason"] or row["result"] == OK, row
        assert "Error" not in row["reason"] or row["result"] == OK, row  # in words, for whoever chooses a network
        assert (row["annotation"] in ("boxes", "masks")) == (row["result"] != UNSUPPORTED), row
        assert row["annotation"] != "boxes" or row["package"] == "mmdet", row


def test_every_short_name_is_of_a_trainable_configuration():
    found = {row["config"]: row for row in TABLE}
    short = [record for record in load_plugins().networks.values() if "config" in record.options]
    assert len(short) > 50
    for record in short:
        row = found[record.options["config"]]
        assert row["result"] == OK, record.name
        assert row["annotation"] == (record.annotation or load_plugins().task(record.task).annotation), record.name


def test_the_listing_has_short_names_and_zoos_with_their_verdict():
    listed = rows("networks", load_plugins(), "detection")
    assert {row["task"] for row in listed} == {"detection"}
    assert "mmdet" not in {row["name"] for row in listed if row["config"] is None}
    zoos = {row["config"]: row for row in listed if row["config"]}
    assert list(zoos) == zoo.names("mmdet")
    assert zoos["rtmdet/rtmdet_tiny_8xb32-300e_coco"]["trainable"]
    assert "proposals" in zoos["fast_rcnn/fast-rcnn_r50_fpn_1x_coco"]["reason"]


def test_network_config_is_looked_up():
    mmdet, short = (load_plugins().network(name) for name in ("mmdet", "rtmdet_tiny"))
    assert mmdet.annotation_of("mask_rcnn/mask-rcnn_r50_fpn_1x_coco") == "masks"
    assert mmdet.annotation_of("retinanet/retinanet_r50_fpn_1x_coco") == "boxes"
    assert short.annotation_of(None) is None
    with pytest.raises(UserError, match="is one network, not a zoo"):
        short.annotation_of("retinanet/retinanet_r50_fpn_1x_coco")
