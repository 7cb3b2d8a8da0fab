"""Heat maps of every family of networks: a map of more than one pixel, of the image's place where it differs."""

from __future__ import annotations

import pytest
import torch

from sightsmith.core.util.errors import UserError

SIDE = 224


@pytest.mark.parametrize("network", [
    "mobilenet_v2", "resnet18", "squeezenet1_1", "swin_t",
    *(pytest.param(name, marks=pytest.mark.slow) for name in (
        "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
        "maxvit_t", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnext50_32x4d", "shufflenet_v2_x0_5",
        "swin_v2_t", "vgg11_bn", "wide_resnet50_2"))])
def test_a_map_for_each_image(make_task, network):
    task = make_task(network, size=SIDE)
    torch.manual_seed(0)
    model, _ = task.build_model()
    last = [module for module in model.network.modules() if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))][-1]
    torch.nn.init.normal_(last.weight)  # of an opinion, which differs from place to place
    images = torch.rand(4, 3, SIDE, SIDE)
    for place, image in enumerate(images):
        image[:, 40 * place:40 * place + 70, 60:150] *= 4
    maps = task.heat_maps(model.eval(), model.data_preprocessor({"inputs": images}))
    assert [heat.shape for heat in maps] == [(SIDE, SIDE)] * 4
    for heat in maps:
        assert heat.min() >= 0 and heat.max() <= 1
    # Random weights may speak against every place; where they do not, the map is no constant.
    assert any(heat.max() == pytest.approx(1) and heat.std() > 0.01 for heat in maps), network


def test_a_network_without_a_map_says_so(make_task):
    task = make_task("vit_b_32", size=SIDE)
    model, _ = task.build_model()
    with pytest.raises(UserError, match="has no convolutional feature map"):
        task.heat_maps(model.eval(), {"inputs": torch.rand(1, 3, SIDE, SIDE)})
