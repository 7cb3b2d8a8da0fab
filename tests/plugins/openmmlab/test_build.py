"""Models are built in their package's scope, and ignore the other ranks where they must."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from torch import distributed

from sightsmith.engine.runs.library_warnings import warnings_in_log
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.build import build_model, registry, scope, without_distributed

SMALL = {
    "type": "EncoderDecoder", "data_preprocessor": {"type": "SegDataPreProcessor", "size": (32, 32)},
    "backbone": {"type": "ERFNet", "norm_cfg": {"type": "SyncBN"}},
    "decode_head": {"type": "FCNHead", "in_channels": 16, "channels": 8, "num_convs": 1, "num_classes": 2},
    "train_cfg": {}, "test_cfg": {"mode": "whole"},
}


def test_a_model_is_built_quietly_and_without_synchronous_normalization(capfd, caplog):
    with caplog.at_level(logging.INFO):
        model = build_model({**SMALL}, "mmseg")
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert not any(isinstance(module, torch.nn.SyncBatchNorm) for module in model.modules())
    assert model.train()(torch.rand(2, 3, 32, 32)).shape == (2, 2, 16, 16)


def test_what_a_backbone_prints_is_logged(capfd, caplog):
    mscan = {"type": "MSCAN", "embed_dims": [8, 8, 8, 16], "depths": [1] * 4, "norm_cfg": {"type": "BN"}}
    build_model({**SMALL, "backbone": mscan}, "mmseg")
    with warnings_in_log():
        build_model({**SMALL, "backbone": mscan}, "mmseg")
    assert capfd.readouterr() == ("", "")
    assert caplog.text.count("printed: init cfg None") == 1


def test_the_scope_is_put_back():
    from mmengine.registry import DefaultScope

    before = DefaultScope.get_current_instance()
    with scope("mmdet"):
        assert DefaultScope.get_current_instance().scope_name == "mmdet"
    assert DefaultScope.get_current_instance() is before


def test_without_distributed_only_inside():
    real = distributed.is_initialized
    with without_distributed():
        assert distributed.is_initialized is not real
        assert not distributed.is_initialized()
    assert distributed.is_initialized is real


@pytest.mark.parametrize("box", [(10, 10, 20, 20), (-9, 1, -2, 5), (40, 1, 50, 5), (1, 40, 5, 50), (math.nan,) * 4])
def test_masks_are_pasted_also_of_boxes_outside_of_the_image(box):
    registry("mmdet")
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    boxes = torch.tensor([box], dtype=torch.float32)
    pasted, place = fcn_mask_head._do_paste_mask(torch.ones(1, 1, 4, 4), boxes, 30, 32)
    whole = torch.zeros(30, 32)
    whole[place] = pasted[0]
    assert (whole > 0.4).sum() == (100 if box[0] == 10 else 0)


@pytest.mark.parametrize("package", ["mmdet", "mmseg"])
def test_every_short_name_is_in_the_zoo(package):
    from sightsmith.core.plugins.manager import load_plugins

    task = {"mmdet": "detection", "mmseg": "segmentation"}[package]
    known = set(zoo.names(package))
    chosen = [record.options["config"] for record in load_plugins().networks.values()
              if record.task == task and "config" in record.options]
    assert len(chosen) > 20
    assert set(chosen) <= known


@pytest.mark.parametrize(("assigner", "most"), [("DynamicSoftLabelAssigner", 13), ("SimOTAAssigner", 10)])
@pytest.mark.parametrize(("priors", "objects"), [(1, 1), (7, 3), (60, 4), (200, 40)])
def test_objects_are_matched_as_one_by_one(assigner, most, priors, objects):
    """Each object asks for its cheapest priors, as many as the sum of its largest IoUs; of a prior that several ask
    for, the cheapest object gets it."""
    registry("mmdet")
    from mmdet.models.task_modules import assigners

    rng = torch.Generator().manual_seed(priors)
    cost, ious = torch.rand(priors, objects, generator=rng), torch.rand(priors, objects, generator=rng)
    valid = torch.randperm(2 * priors, generator=rng) < priors
    asked = torch.zeros(priors, objects, dtype=torch.bool)
    for place in range(objects):
        wanted = max(int(ious[:, place].sort(descending=True).values[:most].sum()), 1)
        asked[cost[:, place].argsort()[:wanted], place] = True
    owners = torch.where(asked.sum(1) > 1, cost.argmin(1), asked.int().argmax(1))
    found, kept = asked.any(1), valid.clone()
    kept[valid] = found
    matched_ious, matched = getattr(assigners, assigner)().dynamic_k_matching(cost, ious, objects, valid)
    assert matched.equal(owners[found])
    assert matched_ious.equal(ious[found, owners[found]])
    assert valid.equal(kept)
