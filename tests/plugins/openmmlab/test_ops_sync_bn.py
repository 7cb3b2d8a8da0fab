"""mmcv's SyncBatchNorm in a group of one process, where it is ordinary batch normalization."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributed as dist
from mmcv.ops import SyncBatchNorm
from torch import nn


@pytest.fixture
def _one_process():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("_one_process")
@pytest.mark.parametrize("mode", ["default", "N"])
def test_one_process_is_batch_normalization(mode):
    layer, expected = SyncBatchNorm(3, momentum=0.2, stats_mode=mode), nn.BatchNorm2d(3, momentum=0.2)
    expected.load_state_dict(copy.deepcopy(layer.state_dict()))
    for _ in range(2):
        input = torch.randn(4, 3, 5, 2, requires_grad=True)
        same = input.detach().clone().requires_grad_()
        grad = torch.randn(4, 3, 5, 2)
        for module, data in ((layer, input), (expected, same)):
            module.zero_grad()
            module(data).backward(grad)
        torch.testing.assert_close(input.grad, same.grad)
        torch.testing.assert_close(layer.weight.grad, expected.weight.grad)
        torch.testing.assert_close(layer.bias.grad, expected.bias.grad)
    torch.testing.assert_close(layer.state_dict(), expected.state_dict())
    torch.testing.assert_close(layer(input), expected(input))


@pytest.mark.usefixtures("_one_process")
def test_an_empty_batch_counts_for_nothing():
    layer = SyncBatchNorm(3, stats_mode="N")
    before = copy.deepcopy(layer.running_mean)
    assert layer(torch.zeros(0, 3, 2, 2)).shape == (0, 3, 2, 2)
    torch.testing.assert_close(layer.running_mean, before)
