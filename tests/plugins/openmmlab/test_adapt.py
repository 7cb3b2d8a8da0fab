"""What is changed in a zoo's configuration, on small dicts."""

from __future__ import annotations

import pytest

from sightsmith.plugins.openmmlab import adapt


def test_every_head_gets_the_classes():
    model = {"bbox_head": {"num_classes": 80, "loss_cls": {"class_weight": [1.0] * 80}},
             "stages": [{"heads": ({"num_classes": 80},)}], "rpn_head": {"num_classes": 1}, "edges": {"num_classes": 2},
             "panoptic_head": {"num_things_classes": 80, "num_stuff_classes": 53,
                               "loss_cls": {"class_weight": [1.0] * 80 + [0.1]}},
             "loss": {"class_weight": 1.0}}
    adapt.set_classes(model, 3)
    assert model == {
        "bbox_head": {"num_classes": 3, "loss_cls": {"class_weight": None}},
        "stages": [{"heads": ({"num_classes": 3},)}], "rpn_head": {"num_classes": 1}, "edges": {"num_classes": 2},
        "panoptic_head": {"num_things_classes": 3, "num_stuff_classes": 0,
                          "loss_cls": {"class_weight": [1.0, 1.0, 1.0, 0.1]}},
        "loss": {"class_weight": 1.0}}


def test_one_class_stays_one_count_among_many():
    model = {"bbox_head": {"num_classes": 1}, "mask_head": {"num_classes": 1}}
    adapt.set_classes(model, 5)
    assert model == {"bbox_head": {"num_classes": 5}, "mask_head": {"num_classes": 5}}


def test_downloads_are_taken_out():
    model = {"pretrained": "open-mmlab://x",
             "backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}},
             "neck": {"init_cfg": {"type": "Xavier"}}, "parts": [{"init_cfg": {"checkpoint": "https://x/y.pth"}}],
             "head": {"init_cfg": [{"type": "Xavier"}, {"type": "Pretrained", "checkpoint": "z.pth"}]}}
    assert adapt.drop_downloads(model) == ["torchvision://resnet50", "open-mmlab://x", "https://x/y.pth", "z.pth"]
    assert model == {"pretrained": None, "backbone": {}, "neck": {"init_cfg": {"type": "Xavier"}}, "parts": [{}],
                     "head": {}}


def test_normalization_needs_no_process_group():
    model = {"norm_cfg": {"type": "SyncBN"}, "parts": [{"act": {"type": "MMSyncBN"}}, {"norm_cfg": {"type": "GN"}}]}
    adapt.replace_sync_batch_norm(model)
    assert model == {"norm_cfg": {"type": "BN"}, "parts": [{"act": {"type": "BN"}}, {"norm_cfg": {"type": "GN"}}]}


@pytest.mark.parametrize(("given", "mean", "std", "fed"), [
    ({"bgr_to_rgb": True, "mean": [1, 2, 3]}, None, None, {"mean": [1, 2, 3], "rgb_to_bgr": False}),
    ({"mean": [1, 2, 3]}, None, None, {"mean": [1, 2, 3], "rgb_to_bgr": True}),
    ({"bgr_to_rgb": True}, [0.2, 0.4, 0.6], None,
     {"mean": [51.0, 102.0, 153.0], "std": [1.0] * 3, "rgb_to_bgr": False}),
    ({"bgr_to_rgb": False}, [0.2, 0.4, 0.6], [0.2, 0.4, 1],
     {"mean": [153.0, 102.0, 51.0], "std": [255, 102.0, 51.0], "rgb_to_bgr": True}),
])
def test_the_network_is_fed_rgb(given, mean, std, fed):
    adapt.feed_rgb(given, mean, std)
    assert given == fed


def test_the_semantic_branch_is_dropped():
    model = {"roi_head": {"semantic_head": {"type": "FusedSemanticHead"}, "semantic_roi_extractor": {}, "bbox_head": 1}}
    adapt.drop_semantic_branch(model)
    assert model == {"roi_head": {"semantic_head": None, "semantic_roi_extractor": None, "bbox_head": 1}}


def _detr(**keys):
    return {"as_two_stage": True, "num_queries": 900, "test_cfg": {"max_per_img": 300},
            "neck": {"in_channels": [512, 1024, 2048], "num_outs": 4},
            "data_preprocessor": {"pad_size_divisor": 32}, **keys}


def test_no_more_queries_than_places():
    model = _detr()
    adapt.fit_queries(model, 128)
    assert model["num_queries"] == 16**2 + 8**2 + 4**2 + 2**2  # strides 8, 16, 32, 64
    assert model["test_cfg"]["max_per_img"] == 300
    assert model["data_preprocessor"]["pad_size_divisor"] == 128  # square

    model = _detr()
    adapt.fit_queries(model, 64)
    assert model["num_queries"] == model["test_cfg"]["max_per_img"] == 85


def test_narrow_images_are_padded_to_enough_places():
    model = _detr()
    adapt.fit_queries(model, 640)
    assert model["num_queries"] == 900
    assert model["data_preprocessor"]["pad_size_divisor"] == 96  # 960 + 240 + 60 + 20 places; 64 has 850
    model = _detr(as_two_stage=False)
    adapt.fit_queries(model, 64)
    assert model == _detr(as_two_stage=False)


def test_five_maps_begin_at_a_quarter():
    model = _detr(neck={"in_channels": [256, 512, 1024, 2048], "num_outs": 5})
    adapt.fit_queries(model, 64)
    assert model["num_queries"] == 16**2 + 8**2 + 4**2 + 2**2 + 1


@pytest.mark.parametrize(("backbone", "size"), [("BEiT", (128, 128)), ("MAE", (128, 128)), ("VisionTransformer", 224)])
def test_a_backbone_of_one_size_has_that_of_the_input(backbone, size):
    model = {"backbone": {"type": backbone, "img_size": 224}}
    adapt.fix_size(model, 128)
    assert model["backbone"]["img_size"] == size


@pytest.mark.parametrize(("model", "masks"), [
    ({"roi_head": {"mask_head": {"type": "FCNMaskHead"}}}, True),
    ({"roi_head": {"mask_head": [{"type": "HTCMaskHead"}]}}, True),
    ({"bbox_head": {"type": "RTMDetInsHead", "loss_mask": {"type": "DiceLoss"}}}, True),
    ({"roi_head": {"mask_head": None}, "bbox_head": {"loss_bbox": {}}}, False),
])
def test_masks_are_learnt_where_a_head_learns_them(model, masks):
    assert adapt.learns_masks(model) is masks


def test_options_are_merged():
    model = {"backbone": {"depth": 50, "style": "caffe"}, "neck": None}
    adapt.merge(model, {"backbone": {"depth": 18}, "neck": {"type": "FPN"}, "new": 1})
    assert model == {"backbone": {"depth": 18, "style": "caffe"}, "neck": {"type": "FPN"}, "new": 1}
    options = {"backbone": {"_delete_": True, "type": "MobileNetV2"}}
    adapt.merge(model, options)
    adapt.merge(model, options)  # which are not used up
    assert model["backbone"] == {"type": "MobileNetV2"}
