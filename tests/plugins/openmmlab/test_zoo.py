"""The zoos' configurations by name; a sample of them builds, trains a step and predicts."""

from __future__ import annotations

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn
from zoo_step import CLASSES, make_task, step, write_samples

from sightsmith.core.util.errors import UserError
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.batch_norm import BatchNorm2d, patch_batch_norm

SAMPLE = [
    ("mmdet", "retinanet/retinanet_r18_fpn_1x_coco"),
    ("mmdet", "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco"),
    ("mmdet", "yolox/yolox_tiny_8xb8-300e_coco"),
    ("mmseg", "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024"),
    ("mmseg", "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024"),
    ("mmseg", "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024"),
    *(pytest.param(*each, marks=pytest.mark.slow) for each in [
        ("mmdet", "atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco"),
        ("mmdet", "boxinst/boxinst_r50_fpn_ms-90k_coco"),
        ("mmdet", "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance"),
        ("mmdet", "detr/detr_r18_8xb2-500e_coco"),
        ("mmdet", "deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco"),
        ("mmdet", "lad/lad_r50-paa-r101_fpn_2xb8_coco_1x"),
        ("mmdet", "mask_rcnn/mask-rcnn_r50_fpn_1x_coco"),
        ("mmdet", "centernet/centernet_r18_8xb16-crop512-140e_coco"),
        ("mmdet", "solov2/solov2-light_r18_fpn_ms-3x_coco"),
        ("mmdet", "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco"),
        ("mmdet", "tood/tood_r50_fpn_1x_coco"),
        ("mmdet", "yolact/yolact_r50_1xb8-55e_coco"),
        ("mmdet", "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco"),
        ("mmseg", "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024"),
        ("mmseg", "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680"),
        ("mmseg", "mask2former/mask2former_r50_8xb2-160k_ade20k-512x512"),
        ("mmseg", "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024"),
        ("mmseg", "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes"),
        ("mmseg", "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024"),
        ("mmseg", "stdc/stdc1_4xb12-80k_cityscapes-512x1024"),
    ]),
]
"""Of each mechanism one, and small."""

FEW_PROPOSALS = {"train_cfg": {"rcnn": {"sampler": {"num": 32}}}, "test_cfg": {"rcnn": {"max_per_img": 5}}}


@pytest.mark.parametrize(("package", "name"), SAMPLE)
def test_it_builds_trains_a_step_and_predicts(package, name, tmp_path):
    options = FEW_PROPOSALS if "mask-rcnn" in name else None
    figures = step(make_task(package, name, options=options), write_samples(tmp_path))
    score = {"mmdet": "ap", "mmseg": "dice"}[package]
    assert {"loss", score, *(f"{score}/{label}" for label in CLASSES)} <= set(figures)


def test_names_are_those_of_the_files_without_their_parts():
    names = zoo.names("mmdet")
    assert len(names) == len(set(names)) > 800
    assert "mask_rcnn/mask-rcnn_r50_fpn_1x_coco" in names
    assert not any("_base_" in name for name in names)


@pytest.mark.parametrize(("package", "name", "says"), [
    ("mmdet", "retinanet/retinanet_r51_fpn_1x_coco", "Did you mean 'retinanet/retinanet_r50_fpn_1x_coco'"),
    ("mmdet", "../secret", "no configuration"),
    ("mmdet", "common/ms_3x_coco", "it is a base of other configurations"),
    ("mmdet", "glip/glip_atss_swin-l_fpn_dyhead_16xb2_ms-2x_funtune_coco", "text in addition to the image"),
    ("mmdet", "fast_rcnn/fast-rcnn_r50_fpn_1x_coco", "proposals in addition to the image"),
    ("mmdet", "mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic", "panoptic annotation"),
    ("mmdet", "panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco", "panoptic annotation"),
    ("mmdet", "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco", "images without annotation"),
    ("mmdet", "misc/d2_retinanet_r50-caffe_fpn_ms-90k_coco", "a network of detectron2"),
    ("mmdet", "sort/faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17train", "a file that mmdet does not install"),
    ("mmdet", "masktrack_rcnn/masktrack-rcnn_mask-rcnn_r50_fpn_8xb1-12e_youtubevis2019", "segments videos"),
    ("mmdet", "ocsort/ocsort_yolox_x_8xb4-amp-80e_crowdhuman-mot20train_test-mot20test", "tracks objects"),
    ("mmdet", "crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman", "only learns crowds"),
    ("mmseg", "vpd/vpd_sd_4xb8-25k_nyu-512x512", "estimates depth"),
    ("mmseg", "san/san-vit-b16_coco-stuff164k-640x640", "text in addition to the image"),
])
def test_what_no_task_can_use_is_refused_with_the_reason(package, name, says):
    with pytest.raises(UserError, match=says):
        zoo.load_model(package, name)


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mmpretrain", None)  # as if it were not installed
    with pytest.raises(UserError, match="needs mmpretrain, which is not installed"):
        zoo.load("mmseg", "poolformer/fpn_poolformer_s12_8xb4-40k_ade20k-512x512")


def test_a_transform_of_the_training_pipeline_is_found():
    assert zoo.transform("mmseg", "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes", "GenerateEdge")["edge_width"] == 4
    assert zoo.transform("mmseg", "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024", "GenerateEdge") is None


def test_a_teacher_is_found_in_the_zoo():
    model = zoo.load_model("mmdet", "ld/ld_r18-gflv1-r101_fpn_1x_coco")
    zoo.resolve_teacher("mmdet", model)
    assert model["teacher_config"]["model"]["backbone"]["depth"] == 101


def test_training_progress_is_told_to_those_who_ask(tmp_path):
    task, samples = make_task("mmdet", "tood/tood_r50_fpn_1x_coco"), write_samples(tmp_path)
    model, _ = task.build_model()
    task.prepare(model, samples * 2)  # four images, two a pass
    data = task.dataset(samples, training=True)
    hub = MessageHub.get_current_instance()
    told = []
    model.train()
    for _ in range(3):
        batch = model.data_preprocessor(task.collate([data[(0, 1)]]), True)
        model(**batch, mode="loss")
        told.append((hub.get_info("iter"), hub.get_info("epoch")))
    assert told == [(0, 0), (1, 0), (2, 1)]
    assert model.state_dict()["passes"] == 3


def test_one_value_of_each_channel_is_normalized_by_the_running_statistics():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm1d(2))
    with torch.no_grad():
        model[0].running_mean.fill_(1)
        model[0].running_var.fill_(4)
    names = list(model.state_dict())
    patch_batch_norm(model)
    assert [type(part) for part in model] == [BatchNorm2d, nn.BatchNorm1d]
    assert list(model.state_dict()) == names
    single, several = torch.full((1, 2, 1, 1), 5.0), torch.rand(2, 2, 3, 3)
    torch.testing.assert_close(model[0](single), torch.full((1, 2, 1, 1), 2.0))
    assert model[0].running_mean.tolist() == [1, 1]
    torch.testing.assert_close(model[0](several), nn.BatchNorm2d(2)(several))
    assert model[0].running_mean.tolist() != [1, 1]
