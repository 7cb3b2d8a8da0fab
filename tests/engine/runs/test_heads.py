"""Rows of heads by class."""

from __future__ import annotations

import torch
from torch import nn

from sightsmith.engine.runs.heads import Head, find_heads, plain_layout


def network(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, classes))


def test_heads_are_what_grows_with_the_classes():
    heads = find_heads(network(3).state_dict(), network(4).state_dict(), lambda name, rows, per_class: plain_layout)
    assert list(heads) == ["1.weight", "1.bias"]
    assert heads["1.weight"].dim == 0


def test_known_classes_keep_their_rows_and_new_ones_the_initial_values():
    head = Head(0, plain_layout)
    own, other = torch.zeros(3, 2), torch.tensor([[1.0, 1], [2, 2]])
    assert head.filled(own, ["c", "b", "a"], other, ["a", "b"]).tolist() == [[0, 0], [2, 2], [1, 1]]
    assert own.sum() == 0
    assert Head(1, plain_layout).filled(own.T, ["c", "b", "a"], other.T, ["a", "b"]).tolist() == [[0, 2, 1]] * 2


def test_what_differs_by_more_than_classes_is_not_filled():
    head = Head(0, plain_layout)
    assert head.filled(torch.zeros(2, 3), ["a", "b"], torch.zeros(2, 4), ["a", "b"]) is None
    assert head.filled(torch.zeros(2, 3), ["a", "b"], torch.zeros(3, 3), ["a", "b"]) is None
