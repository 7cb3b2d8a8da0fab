"""What OpenMMLab publishes: found for every configuration, loaded by names, shapes and classes."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
import torch
from zoo_step import make_task

from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.runs.published import digest_start, file_name
from sightsmith.plugins import openmmlab
from sightsmith.plugins.openmmlab import published as module
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.build import build_model
from sightsmith.plugins.openmmlab.networks import UNSUPPORTED, ZOO
from sightsmith.plugins.openmmlab.published import address, entry, published

TABLE = list(csv.DictReader(files(openmmlab).joinpath(ZOO).read_text(encoding="utf-8").splitlines()))


def test_addresses():
    assert address("torchvision://resnet50").endswith("/resnet50-0676ba61.pth")
    assert address("open-mmlab://resnet50_v1c").endswith(".pth")
    assert address("https://example.org/a.pth") == "https://example.org/a.pth"
    assert address("open-mmlab://nothing") == ""


def test_the_table_has_what_the_metafiles_of_the_installed_packages_publish():
    able = [row for row in TABLE if row["result"] != UNSUPPORTED]
    assert len(able) > 1300
    unnamed = set()
    for row in able:
        url = module._checkpoint(entry(row["package"], row["config"]))
        assert bool(url) == (row["pretrained"] not in ("", "backbone")), row
        if url and not digest_start(url):
            unnamed.add(url.rsplit("/", 1)[-1])
    assert unnamed == {"ddq_detr_5scale_coco_1x.pth", "ddq_detr_swinl_30e.pth"}
    assert sum(row["pretrained"] == "COCO" for row in able) > 400
    assert sum(row["pretrained"] in ("ADE20K", "Cityscapes") for row in able) > 400


def test_whole_networks_come_before_backbones():
    whole, backbone = published("mmdet", "rtmdet/rtmdet_tiny_8xb32-300e_coco")
    assert (whole.dataset, whole.licence, whole.backbone) == ("COCO", "Apache-2.0 (OpenMMLab)", False)
    assert file_name(whole) == "rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth"
    assert (backbone.backbone, file_name(backbone)) == (True, "cspnext-tiny_imagenet_600e.pth")


@pytest.mark.parametrize(("package", "config", "file"), [
    # listed below another folder, and with an escaped one
    ("mmdet", "ddq/ddq-detr-5scale_r50_8xb2-12e_coco", "ddq_detr_5scale_coco_1x.pth"),
    ("mmdet", "gn+ws/faster-rcnn_r50_fpn_gn-ws-all_1x_coco",
     "faster_rcnn_r50_fpn_gn_ws-all_1x_coco_20200130-613d9fe2.pth"),
    # two entries, of which one is another network's
    ("mmseg", "pspnet/pspnet_r50b-d32_4xb2-80k_cityscapes-512x1024",
     "pspnet_r50b-d32_512x1024_80k_cityscapes_20220311_152152-23bcaf8c.pth"),
    ("mmseg", "twins/twins_pcpvt-l_uperhead_8xb2-160k_ade20k-512x512",
     "twins_pcpvt-l_uperhead_8x2_512x512_160k_ade20k_20211201_075053-c6095c07.pth"),
    # a host that is not OpenMMLab's, by a slip: only the backbone is left
    ("mmseg", "pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-769x769", "resnet101_v1c-e67eebb6.pth"),
])
def test_slips_of_the_metafiles(package, config, file):
    assert file_name(next(published(package, config))) == file


@pytest.mark.parametrize(("task", "name", "licence"), [
    ("detection", "mask_rcnn_r50", "Apache-2.0"), ("segmentation", "segformer_b0", "NVIDIA")])
def test_records_name_their_weights(task, name, licence):
    record = load_plugins().network(name)
    whole = next(iter(record.published_weights(None)))
    assert record.task == task and record.weights == file_name(whole)
    assert record.pretrained == whole.dataset and whole.licence.startswith(licence)


@pytest.mark.parametrize(("package", "name", "count", "some"), [
    ("mmdet", "rtmdet/rtmdet_tiny_8xb32-300e_coco", 80, "person"),
    ("mmdet", "yolox/yolox_tiny_8xb8-300e_coco", 80, "person"),
    ("mmdet", "lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1", 1203, "aerosol_can"),
    ("mmseg", "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512", 150, "wall"),
    ("mmseg", "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024", 19, "road"),
])
def test_classes_are_those_of_the_data_set_that_a_configuration_trains_on(package, name, count, some):
    found = zoo.classes(package, name)
    assert len(found) == count and some in found


SHORT = [("mmdet", "rtmdet/rtmdet_tiny_8xb32-300e_coco", "person"),
         ("mmdet", "retinanet/retinanet_r18_fpn_1x_coco", "person"),
         ("mmseg", "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512", "sky"),
         ("mmseg", "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024", "road")]


@pytest.mark.parametrize(("package", "name", "known"), SHORT)
def test_a_published_file_fits_the_adapted_network(package, name, known, tmp_path, monkeypatch):
    """A file as mmengine saves the configuration's own network, with all of its classes but not their names."""
    model = zoo.load_model(package, name)
    from sightsmith.plugins.openmmlab import adapt

    adapt.drop_downloads(model)
    adapt.replace_sync_batch_norm(model)
    adapt.feed_rgb(model["data_preprocessor"])
    source = build_model(model, package)
    task = make_task(package, name)
    task.classes = ("novelty", known)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("sightsmith.engine.runs.published.digest_start", lambda name: "")
    weights = next(published(package, name))
    path = tmp_path / "hub" / "checkpoints" / file_name(weights)
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": source.state_dict(), "meta": {"epoch": 300}}, path)
    object.__setattr__(task.network, "published_weights", lambda config: [weights])
    task.config.network = NetworkConfig(package, "published")
    built, report = task.build_model()
    assert report.mismatched == () and report.missing == () and report.unused == ()
    assert report.classes["kept"] == (known,) and report.classes["new"] == ("novelty",)
    assert report.published == weights
    own, theirs = built.state_dict(), source.state_dict()
    heads = [key for key, value in own.items() if value.shape != theirs[key].shape]
    assert heads
    assert all(own[key].equal(theirs[key]) for key in own if key not in heads)


def test_names_of_older_versions_are_renamed_as_the_modules_do(tmp_path):
    name = "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco"
    task = make_task("mmdet", name)
    source, _ = task.build_model(load_weights=False)
    old = {key.replace("bbox_head.conv_cls", "bbox_head.fcos_cls"): value for key, value in source.state_dict().items()}
    assert "bbox_head.fcos_cls.weight" in old
    torch.save({"state_dict": old, "meta": {"CLASSES": task.classes}}, tmp_path / "old.pth")
    task.config.network.weights = str(tmp_path / "old.pth")
    built, report = task.build_model()
    assert report.unused == () and report.missing == ()
    assert built.bbox_head.conv_cls.weight.equal(source.bbox_head.conv_cls.weight)
