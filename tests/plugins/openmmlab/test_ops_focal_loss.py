"""Focal losses against torchvision's and against the formula by autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import SigmoidFocalLoss, SoftmaxFocalLoss, sigmoid_focal_loss, softmax_focal_loss
from torch.autograd import gradcheck
from torchvision.ops import sigmoid_focal_loss as reference

TARGET = torch.tensor([0, 1, 2, 3, 3, 1])  # 3: background


def logits(classes=3):
    return torch.randn(len(TARGET), classes, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_sigmoid_is_torchvisions(gamma, reduction):
    input = logits()
    loss = sigmoid_focal_loss(input, TARGET, gamma, 0.25, None, reduction)
    expected = reference(input, F.one_hot(TARGET, 4)[:, :3].double(), 0.25, gamma)
    expected = {"none": expected, "sum": expected.sum(), "mean": expected.sum() / len(input)}[reduction]
    torch.testing.assert_close(loss, expected)
    assert gradcheck(lambda input: sigmoid_focal_loss(input, TARGET, gamma, 0.25, None, reduction), input)


def test_sigmoid_weighs_rows_by_their_class():
    input, weight = logits(), torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    rows = torch.tensor([0.5, 2, 3, 1, 1, 2], dtype=torch.float64)[:, None]
    loss = sigmoid_focal_loss(input, TARGET, 2.0, 0.25, weight, "none")
    torch.testing.assert_close(loss, rows * sigmoid_focal_loss(input, TARGET, 2.0, 0.25, None, "none"))
    assert gradcheck(lambda input: sigmoid_focal_loss(input, TARGET, 2.0, 0.25, weight, "none"), input)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 2.0, 3.0, 0.1], dtype=torch.float64)])
def test_softmax_is_the_formula(gamma, weight):
    input = logits(4)
    p = input.softmax(1)[range(len(TARGET)), TARGET]
    rows = torch.ones(4, dtype=torch.float64) if weight is None else weight
    expected = -0.25 * (1 - p)**gamma * p.log() * rows[TARGET]
    torch.testing.assert_close(softmax_focal_loss(input, TARGET, gamma, 0.25, weight, "none"), expected)
    for reduction in ("mean", "sum"):  # mmcv cannot take the gradient of unreduced losses
        assert gradcheck(lambda input, r=reduction: softmax_focal_loss(input, TARGET, gamma, 0.25, weight, r), input)


def test_softmax_ignores_negative_targets():
    input = logits()
    loss = softmax_focal_loss(input, torch.tensor([-1, 0, -1, 1, 2, -1]), 2.0, 0.25, None, "sum")
    loss.backward()
    assert (input.grad == 0).all(1).tolist() == [True, False, True, False, False, True]


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("layer", [SigmoidFocalLoss, SoftmaxFocalLoss])
def test_certain_logits_are_finite(layer, gamma):
    input = torch.tensor([[500.0, -500, 500], [-500, 500, -500]], requires_grad=True)
    loss = layer(gamma, 0.25)(input, torch.tensor([0, 2]))
    loss.backward()
    assert loss.isfinite() and input.grad.isfinite().all()


@pytest.mark.parametrize("layer", [SigmoidFocalLoss(2.0, 0.25), SoftmaxFocalLoss(2.0, 0.25)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(layer, dtype):
    low = logits(4).detach().to(dtype).requires_grad_()
    high = low.detach().float().requires_grad_()
    layer(low, TARGET).backward()
    layer(high, TARGET).backward()
    torch.testing.assert_close(low.grad, high.grad.to(dtype), rtol=0.05, atol=1e-3)


def test_no_rows():
    input = torch.zeros(0, 3, requires_grad=True)
    sigmoid_focal_loss(input, TARGET[:0], 2.0, 0.25, None, "sum").backward()
    assert input.grad.shape == (0, 3)
