"""What stands in for an operation of torch gives what the operation gives, and goes away again."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sightsmith.plugins.exporters.plain_operations import plain_operations


@pytest.mark.parametrize("size", [1, (2, 3), 6, (None, 4)])
def test_adaptive_pooling(size):
    images = torch.randn(2, 3, 7, 10)
    expected = F.adaptive_avg_pool2d(images, size)
    with plain_operations():
        torch.testing.assert_close(F.adaptive_avg_pool2d(images, size), expected)
        torch.testing.assert_close(nn.AdaptiveAvgPool2d(size)(images), expected)


def test_all_is_put_back():
    before = F.adaptive_avg_pool2d
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    tokens = torch.randn(1, 5, 8)
    with torch.no_grad():
        expected, _ = attention(tokens, tokens, tokens)
        with plain_operations():
            assert not torch.backends.mha.get_fastpath_enabled()
            torch.testing.assert_close(attention(tokens, tokens, tokens)[0], expected)
    assert F.adaptive_avg_pool2d is before
    assert torch.backends.mha.get_fastpath_enabled()
