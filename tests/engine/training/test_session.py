"""What a training changes in a network before it starts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightsmith.engine.training.session import CLONED, write_activations_anew


@pytest.mark.parametrize("kind", [*CLONED, nn.ReLU6])
def test_activations_write_anew_and_to_the_same_values(kind):
    torch.manual_seed(0)
    values, gradients = [], []
    for change in (lambda module: None, write_activations_anew):
        module, given = nn.Sequential(kind(inplace=True)), torch.linspace(-8, 8, 101, requires_grad=True)
        change(module)
        before = given * 1
        values.append(module(before))
        values[-1].sum().backward()
        gradients.append(given.grad)
    assert values[0].equal(values[1])
    assert gradients[0].equal(gradients[1])
    assert not module[0].inplace
    assert before.equal(given)


def test_activations_whose_gradient_needs_no_input_stay_in_place():
    module = nn.Sequential(nn.ReLU(inplace=True))
    write_activations_anew(module)
    assert module[0].inplace
