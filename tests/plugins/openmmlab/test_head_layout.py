"""Heads of a file of weights go to the classes of the same names, whatever the order in both."""

from __future__ import annotations

import pytest
from heads import losses

from sightsmith.plugins.openmmlab.head_layout import box_layout, segmentation_layout

NETWORKS = [
    ("mmdet", "detr/detr_r18_8xb2-500e_coco", {}),
    ("mmdet", "dino/dino-4scale_r50_8xb2-12e_coco", {"dn_cfg": {"label_noise_scale": 1e-9}}),
    ("mmdet", "mask_rcnn/mask-rcnn_r50_fpn_1x_coco", {"train_cfg": {"rcnn": {"sampler": {"num": 32}}},
                                                      "test_cfg": {"rcnn": {"max_per_img": 5}}}),
    ("mmdet", "retinanet/retinanet_r18_fpn_1x_coco", {}),
    ("mmdet", "seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1",
     {"train_cfg": {"rcnn": {"sampler": {"num": 32}}}, "test_cfg": {"rcnn": {"max_per_img": 5}}}),
    ("mmdet", "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco", {}),
    ("mmdet", "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco", {}),
    ("mmdet", "yolox/yolox_tiny_8xb8-300e_coco", {}),
    ("mmseg", "mask2former/mask2former_r50_8xb2-160k_ade20k-512x512", {}),
    ("mmseg", "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024", {}),
]
"""Of each layout of rows one."""


@pytest.mark.slow
@pytest.mark.parametrize(("package", "name", "options"), NETWORKS, ids=[name for _, name, _ in NETWORKS])
def test_the_loss_does_not_depend_on_the_order_of_the_classes(package, name, options, tmp_path):
    source, turned, left = losses(package, name, options, tmp_path)
    assert turned == pytest.approx(source, rel=1e-5)
    assert left != pytest.approx(source, rel=1e-5)


def test_rows_of_boxes():
    assert box_layout("fc_cls.weight", 1)(3, ["a", "b"]) == [("a", 0), ("b", 0), (("", 0), 0)]
    assert box_layout("fc_reg.weight", 2)(4, ["a", "b"]) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert box_layout("conv_cls.weight", 2)(4, ["a", "b"]) == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert box_layout("convs_pred.0.bias", 1)(6, ["a"]) == [*((("", part), 0) for part in range(5)), ("a", 0)]
    assert box_layout("fc_cls.weight", 1)(3, ["a", "b", "c", "d"]) is None
    assert box_layout("conv_cls.weight", 2)(5, ["a"]) is None


def test_rows_of_maps_with_and_without_a_background():
    plain = segmentation_layout(extra=0)
    assert plain(3, ["a", "b"]) == ["background", "a", "b"]
    assert plain(2, ["a", "b"]) == ["a", "b"]
    assert plain(2, ["background", "a"]) == ["background", "a"]
    assert plain(4, ["a", "b"]) is None
    assert segmentation_layout(extra=1)(3, ["a"]) == ["background", "a", ("", 0)]
