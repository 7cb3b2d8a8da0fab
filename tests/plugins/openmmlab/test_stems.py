"""Other channels than three in networks of mmdet and mmsegmentation: first convolutions, normalization, kernels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.weights import Stem, load_matching
from sightsmith.plugins.openmmlab import adapt, stems, zoo
from sightsmith.plugins.openmmlab.build import assemble

FIVE = ImageConfig(channels="5", rgb=True, mean=[0.5] * 5, std=[0.2] * 5)


def built(package, name, image=FIVE):
    model = zoo.load_model(package, name)
    zoo.resolve_teacher(package, model)
    if "teacher_ckpt" in model:
        model["teacher_ckpt"] = None
    adapt.drop_downloads(model)
    adapt.replace_sync_batch_norm(model)
    adapt.feed_channels(model, image)
    return assemble(model, package)


@pytest.mark.parametrize(("package", "name", "convolutions"), [
    ("mmdet", "rtmdet/rtmdet_tiny_8xb32-300e_coco", 1),
    ("mmseg", "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680", 1),
    ("mmseg", "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024", 2),
    ("mmseg", "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512", 1)])
def test_every_convolution_of_the_image_is_widened(package, name, convolutions):
    model = built(package, name)
    found = [module for module in model.backbone.modules() if isinstance(module, nn.Conv2d) and module.in_channels == 5]
    assert len(found) == convolutions and all(module.weight.shape[1] == 5 for module in found)
    stems.ensure_channels(model, FIVE, 64, name)
    assert model.data_preprocessor.mean.flatten().tolist() == [127.5] * 5


def test_networks_that_use_the_image_elsewhere_are_refused_by_name():
    class Plain(nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone, self.data_preprocessor = backbone, nn.Module()

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.later = nn.Conv2d(3, 4, 1), nn.Conv2d(4 + 3, 4, 1)

        def forward(self, image):
            return self.later(torch.cat([self.first(image), image], 1))

    channels = {"mean": [0.5] * 5, "std": [0.2] * 5}
    with pytest.raises(UserError, match="have 5 channels, and networks with the backbone Conv2d take 3"):
        stems.widen(Plain(nn.Conv2d(7, 4, 3)), channels)
    model = Plain(Twice())
    stems.widen(model, channels)
    with pytest.raises(UserError, match="the network tiny takes 3: its backbone Twice uses the image in more places"):
        stems.ensure_channels(model, FIVE, 64, "tiny")


@pytest.mark.parametrize("channels", [2, 4, 5, 12])
def test_the_patches_of_yolox_have_the_channels_of_the_image(channels):
    image = ImageConfig(channels=str(channels), mean=[0.5] * channels, std=[0.2] * channels)
    model = built("mmdet", "yolox/yolox_tiny_8xb8-300e_coco", image)
    assert model.backbone.stem.conv.conv.weight.shape[1] == 4 * channels
    stems.ensure_channels(model, image, 64, "yolox")
    published = built("mmdet", "yolox/yolox_tiny_8xb8-300e_coco", ImageConfig()).backbone.stem.eval()
    load_matching(model.backbone.stem.eval(), published.state_dict(), "w", Stem(None, 1.0, 4))
    grey = torch.rand(1, 1, 8, 8)
    assert torch.allclose(published(grey.expand(-1, 3, -1, -1)),
                          model.backbone.stem(grey.expand(-1, channels, -1, -1)), atol=1e-5)
    assert stems.stem({}, image, model.backbone).patches == 4


def test_colours_keep_their_kernels_in_each_patch():
    kernels = torch.arange(12.0).view(1, 12, 1, 1)
    found, how = Stem((2, 1, 0), 1.0, 4).adapted(kernels, 16)
    assert found.flatten().tolist() == pytest.approx([0.75 * value for start in (0, 3, 6, 9) for value in (
        start + 2, start + 1, start, start + 1)])
    assert how.startswith("4 patches: 3 input channels made 4 (red, green and blue")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ld/ld_r18-gflv1-r101_fpn_1x_coco", "lad/lad_r50-paa-r101_fpn_2xb8_coco_1x"])
def test_a_teacher_takes_the_same_channels(name):
    model = built("mmdet", name)
    assert model.train().training and model.eval() is model and not model.teacher_model.training
    assert model.backbone.conv1.in_channels == model.teacher_model.backbone.conv1.in_channels == 5
    stems.ensure_channels(model, FIVE, 64, name)


def test_kernels_fit_the_order_and_the_scale_of_the_published_network():
    caffe = {"mean": [103.5, 116.3, 123.7], "std": [1.0, 1.0, 1.0], "bgr_to_rgb": False}
    usual = {"std": [58.4, 57.1, 57.4], "bgr_to_rgb": True}
    found, plain = stems.stem(caffe, FIVE, nn.Module()), stems.stem(usual, FIVE, nn.Module())
    assert (found.rgb, plain.rgb) == ((2, 1, 0), (0, 1, 2))
    assert found.gain == pytest.approx(57.6) and plain.gain == pytest.approx(1, abs=0.01)
    assert stems.stem(caffe, ImageConfig(channels="5"), nn.Module()).rgb is None


def test_a_widened_network_sees_colours_as_the_published_one():
    """Of an image that is grey in all channels, both make the same features."""
    published, widened = nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.Conv2d(5, 4, 3))
    load_matching(widened, published.state_dict(), "w", Stem((0, 1, 2)))
    grey = torch.rand(1, 1, 8, 8)
    assert torch.allclose(published(grey.expand(-1, 3, -1, -1)), widened(grey.expand(-1, 5, -1, -1)), atol=1e-5)
